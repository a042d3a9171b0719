// Says to a screen reader what changed without a move of focus. The regions are in the shell, empty until then.

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
