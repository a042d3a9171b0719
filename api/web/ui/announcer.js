// Tells screen readers about changes that do not move the focus. The shell has the live region, which is empty
// otherwise.

import { html } from "../vendor/lit-html/lit-html.js";
import { update } from "../page.js";

const CLEAR_AFTER_MS = 5_000;

let said = "";
let timer = null;

export function announce(text) {
  said = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    said = "";
    update();
  }, CLEAR_AFTER_MS);
  update();
}

export const announcer = () => html`<p class="for-readers" role="status" aria-live="polite" id="announcer">${said}</p>`;
