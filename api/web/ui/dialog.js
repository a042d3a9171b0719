// A question in a modal dialog. Escape closes it; the focus then goes back to where it was. If it asks for a text, what was
// typed is there again when the same question is asked about the same thing.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { Form, formOf } from "./form.js";
import { FormDraft } from "./form_draft.js";

export class Dialog {
  isOpen = false;
  /** The subject with which the dialog was opened. */
  subject = null;
  #draft = null;

  /** `isNotice`: there is nothing to cancel. `submit(values, subject)` does the confirmed work; the dialog closes when it succeeds. `request` is as in `Form`. */
  constructor(view, id, { title, action, isDanger = false, isNotice = false, request = "", fields = () => nothing, submit }) {
    this.view = view;
    this.id = id;
    this.options = { title, action, isDanger, isNotice, fields };
    this.form = new Form(view, `${id}-form`, request, async (values) => {
      const draft = this.#draft;
      await submit(values, this.subject);
      draft?.forget();
      this.close();
    });
  }

  open(subject = null) {
    this.subject = subject;
    this.form.problem = null;
    this.isOpen = true;
    this.view.update();
    // Draw first: a dialog has to be in the page before it can be shown.
    queueMicrotask(() => queueMicrotask(() => this.#show()));
  }

  #show() {
    const element = this.#element;
    if (!element) return;
    element.showModal();
    const form = element.querySelector("form");
    this.#draft = form.querySelector("textarea, input[type=text]") ? new FormDraft(this.#draftName) : null;
    this.#draft?.fill(form, this.view.signal);
  }

  get #draftName() {
    const { path, id, title } = this.subject ?? {};
    return [this.id, location.pathname, path ?? id ?? title ?? ""].join(" ");
  }

  close() {
    this.#element?.close();
  }

  get #element() {
    return document.getElementById(this.id);
  }

  template() {
    if (!this.isOpen) return nothing;
    const { title, action, isDanger, isNotice, fields } = this.options;
    const words = typeof title === "function" ? title(this.subject) : title;
    const closed = () => {
      this.isOpen = false;
      this.view.update();
    };
    const cancel = isNotice ? nothing : html`<button type="button" class="button" @click=${() => this.close()}>Cancel</button>`;
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
