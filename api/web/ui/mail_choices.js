// What the person wants mail about: one choice for each kind. A choice is stored at once.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { Acts } from "./acts.js";

const WORDS = { at_once: "At once", with_text: "At once, with what was written", daily: "Once a day", never: "Never" };

export class MailChoices {
  #kinds = null;
  #isOn = true;
  #acts;

  constructor(view) {
    this.view = view;
    this.#acts = new Acts(view);
  }

  load() {
    return this.view.load(async () => this.#keep(await api.get("/api/me/mail")));
  }

  template() {
    if (!this.#kinds) return nothing;
    if (!this.#isOn) return html`<p>This server sends no mail.</p>`;
    return html`${this.#kinds.map((one) => this.#row(one))} ${this.#acts.template()}`;
  }

  #row({ kind, about, choice, choices }) {
    const id = `mail-${kind}`;
    return html`<div class="field">
      <label for=${id}>Mail me about ${about}</label>
      <select id=${id} @change=${(event) => this.#choose(kind, event.currentTarget.value)}>
        ${choices.map((one) => html`<option value=${one} ?selected=${one === choice}>${WORDS[one]}</option>`)}
      </select>
    </div>`;
  }

  #choose(kind, choice) {
    return this.#acts.do(async () => this.#keep(await api.patch("/api/me/mail", { kind, choice })), "Saved.");
  }

  #keep({ on, data }) {
    this.#isOn = on;
    this.#kinds = data;
  }
}
