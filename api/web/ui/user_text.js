// What people wrote, in which addresses of the web are links. All else stays text: nothing of it becomes markup.

import { html } from "../vendor/lit-html/lit-html.js";
import { partsOfText } from "../links.js";

/** `rel`: search engines count no such link as ours, and the other site does not learn where the reader came from. */
export const userText = (text) =>
  partsOfText(text).map(({ text, href }) =>
    href ? html`<a href=${href} target="_blank" rel="nofollow ugc noopener noreferrer">${text}</a>` : text,
  );
