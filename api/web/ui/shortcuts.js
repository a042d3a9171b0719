// Keys that act on the rows of a list. They work only while the focus is in the list (WCAG 2.1.4), and a dialog says which there are.

import { html } from "../vendor/lit-html/lit-html.js";
import { Dialog } from "./dialog.js";

const TYPED_INTO = "input, textarea, select, [contenteditable]";

export class Shortcuts {
  /** `keys` are `[key, words, act(row)]`; `row` is the element of `rows` that has the focus, or null. j and k go down and up. */
  constructor(view, rows, keys) {
    this.rows = rows;
    this.keys = keys;
    this.help = new Dialog(view, "shortcuts", {
      title: () => "Keyboard shortcuts",
      action: "Close",
      isNotice: true,
      fields: () => html`<p class="quiet">They work while the focus is in the list.</p>
        <dl class="shortcuts">
          ${[["j", "The next one"], ["k", "The one before"], ...keys, ["?", "This help"]].map(
            ([key, words]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${words}</dd></div>`,
          )}
        </dl>`,
      submit: () => {},
    });
  }

  /** Listens to the keys that are pressed in a list: `@keydown=${shortcuts.onKey}`. */
  onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest(TYPED_INTO)) return;
    const row = event.target.closest(this.rows);
    if (event.key === "?") this.help.open();
    else if (event.key === "j") go(row, this.rows, 1);
    else if (event.key === "k") go(row, this.rows, -1);
    else {
      const [, , act] = this.keys.find(([key]) => key === event.key) ?? [];
      if (!act) return;
      act(row);
    }
    event.preventDefault();
  };

  button() {
    return html`<button class="button small shortcuts-button" @click=${() => this.help.open()}>Keyboard shortcuts</button>`;
  }

  template() {
    return this.help.template();
  }
}

function go(row, rows, step) {
  const every = [...document.querySelectorAll(rows)];
  every[every.indexOf(row) + step]?.focus();
}
