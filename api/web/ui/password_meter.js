// Says how hard a new password is to guess, while it is typed. The server has the rules.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { input, passwordHint } from "./form.js";

const PAUSE_MS = 400;
const WORDS = {
  refused: [0, ""],
  fair: [1, "Can be guessed with patience. A longer one is better."],
  good: [2, "Good."],
  strong: [3, "Very hard to guess."],
};

export class PasswordMeter {
  #timer = null;
  #asked = 0;
  /** The answer for what is typed now, or null. */
  #rated = null;

  /** `about(element)` returns {name, email} of the account as far as they are known; `element` is the form. */
  constructor(view, form, about) {
    this.view = view;
    this.form = form;
    this.about = about;
  }

  /** The input for the new password, with its hint and the meter below it. */
  field(label) {
    return html`${input(this.form, {
      name: "password",
      label,
      type: "password",
      hint: passwordHint(this.form),
      autocomplete: "new-password",
      required: true,
      onInput: (event) => this.#typed(event.currentTarget),
    })}
    ${this.#template()}`;
  }

  #template() {
    const [value, words] = WORDS[this.#rated?.strength] ?? [];
    const shown = value === undefined ? nothing : html`<meter min="0" max="3" low="1" high="2" optimum="3" .value=${value}></meter>`;
    return html`<div class="password-meter">
      <span aria-hidden="true">${shown}</span>
      <p class="hint" role="status">${this.#rated ? (this.#rated.reason ?? words) : ""}</p>
    </div>`;
  }

  #typed(element) {
    clearTimeout(this.#timer);
    this.#asked += 1;
    if (element.value.length < this.form.limits.password.minlength) {
      if (this.#rated) this.#show(null);
      return;
    }
    const asked = this.#asked;
    this.#timer = setTimeout(async () => {
      let rated = null;
      try {
        rated = await api.post("/api/password/strength", { password: element.value, ...this.about(element.form) });
      } catch {
        // Without an answer nothing is said; the server decides when the form is sent.
      }
      // Only the answer for what stands there now.
      if (asked === this.#asked) this.#show(rated);
    }, PAUSE_MS);
  }

  #show(rated) {
    this.#rated = rated;
    this.view.update();
  }

  /** Forget what was typed, when the form has been sent. */
  clear() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.#rated = null;
  }
}
