// Objects to a ban, a suspension or a warning with the link from a mail, or after a log-in that was refused.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { takeLinkToken } from "../link_token.js";
import { hash } from "../presses.js";
import { Form, formOf, textarea } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { View } from "../view.js";

export class Objection extends View {
  title = "Object";
  #token = "";
  #isDone = false;
  form = new Form(this, "objection", "ObjectionBody", async ({ text }) => {
    await api.post("/api/objections", { token: this.#token, text });
    this.#isDone = true;
    this.#draft.forget();
  });
  #draft = null;

  /** The draft of a visitor ends with the tab. */
  #onUnload = (event) => {
    if (!this.#isDone && document.querySelector(`#${this.form.id} textarea`)?.value.trim()) event.preventDefault();
  };

  start() {
    this.#token = takeLinkToken();
    this.#draft = new FormDraft(`objection ${hash(this.#token)}`);
    window.addEventListener("beforeunload", this.#onUnload);
  }

  stop() {
    super.stop();
    window.removeEventListener("beforeunload", this.#onUnload);
  }

  afterDraw() {
    this.#draft.drawn(this, this.form);
  }

  template() {
    return html`<section class="narrow">
      <h1>Object</h1>
      ${this.#content()}
    </section>`;
  }

  #content() {
    if (this.#isDone) {
      return html`<p role="status">
        Thank you. A moderator decides about it, if possible another one. You get a mail with the answer, or find it when you log
        in again.
      </p>`;
    }
    if (!this.#token) {
      return html`<p>
        Open the link in the mail again, or <a href="/login">log in</a>. If that is refused, you are told why, and can object if you
        have not yet.
      </p>`;
    }
    return formOf(this.form, { label: "Object", action: "Object" }, [
      textarea(this.form, { name: "text", label: "What is wrong with it? You can say this once.", rows: 6, required: true }),
    ]);
  }
}
