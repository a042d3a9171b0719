// The first picture of a listing in a row of a list that only some people see: the trash, or what is hidden.

import { html } from "../vendor/lit-html/lit-html.js";
import { carIcon } from "./icons.js";

export function rowPicture({ pictures: [first] }) {
  return html`<span class="row-picture">
    ${first ? html`<guarded-picture src=${first.thumbnail_url} alt=""></guarded-picture>` : html`<span class="no-picture">${carIcon}</span>`}
  </span>`;
}
