// A button that shows a few others. Escape, a press outside and leaving it by keyboard close it.

import { html } from "../vendor/lit-html/lit-html.js";

/** `label` names the button for screen readers; `items` are buttons or links. */
export function menu(label, items) {
  return html`<details class="menu" @focusout=${leave} @keydown=${escape} @click=${choose}>
    <summary aria-label=${label} title=${label}><span aria-hidden="true">⋯</span></summary>
    <div class="menu-items">${items}</div>
  </details>`;
}

function leave(event) {
  const details = event.currentTarget;
  // A press on what takes no focus, such as a text, has no target; it closes only if it is outside.
  if (!details.contains(event.relatedTarget) && !details.matches(":active")) details.open = false;
}

function escape(event) {
  if (event.key !== "Escape" || !event.currentTarget.open) return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector("summary").focus();
}

function choose(event) {
  if (event.target.closest(".menu-items button, .menu-items a")) event.currentTarget.open = false;
}
