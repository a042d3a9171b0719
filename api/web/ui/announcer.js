// Tells screen readers of changes that do not move the focus. Its regions are in the shell, and empty until then.

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
