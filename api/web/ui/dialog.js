// A question in a dialog: modal, closed by Escape, with the focus back where it was.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { Form, formOf } from "./form.js";

export class Dialog {
  isOpen = false;
  /** What the dialog is about, as it was opened with. */
  subject = null;

  /** `submit(values, subject)` does what was confirmed; when it succeeds, the dialog closes. `request` as in `Form`. */
  constructor(view, id, { title, action, isDanger = false, request = "", fields = () => nothing, submit }) {
    this.view = view;
    this.id = id;
    this.options = { title, action, isDanger, fields };
    this.form = new Form(view, `${id}-form`, request, async (values) => {
      await submit(values, this.subject);
      this.close();
    });
  }

  open(subject = null) {
    this.subject = subject;
    this.form.problem = null;
    this.isOpen = true;
    this.view.update();
    // Drawn first: a dialog that is not there yet cannot be shown.
    queueMicrotask(() => queueMicrotask(() => this.#element?.showModal()));
  }

  close() {
    this.#element?.close();
  }

  get #element() {
    return document.getElementById(this.id);
  }

  template() {
    if (!this.isOpen) return nothing;
    const { title, action, isDanger, fields } = this.options;
    const words = typeof title === "function" ? title(this.subject) : title;
    const closed = () => {
      this.isOpen = false;
      this.view.update();
    };
    const cancel = html`<button type="button" class="button" @click=${() => this.close()}>Cancel</button>`;
    return html`<dialog id=${this.id} aria-labelledby=${`${this.id}-title`} @close=${closed}>
      <h2 id=${`${this.id}-title`}>${words}</h2>
      ${formOf(
        this.form,
        { label: words, action, kind: isDanger ? "danger" : "", extra: cancel },
        fields(this.form, this.subject),
      )}
    </dialog>`;
  }
}
