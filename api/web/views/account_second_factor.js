// The second factor: turning it on with a QR code, recovery codes, turning it off. A part of the account.

import { html, nothing, svg } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { session } from "../session.js";
import { Form, formOf, input } from "../ui/form.js";
import { day } from "../ui/moment.js";

const PATH = "/api/me/second-factor";
const PASSWORD = { name: "current_password", label: "Current password", type: "password", autocomplete: "current-password", required: true };
const CODE = { name: "code", autocomplete: "one-time-code", required: true };
/** What one types instead of a password alone, once the second step is on. */
export const ANY_CODE = { ...CODE, label: "Code from the app, or a recovery code" };

export class SecondFactor {
  /** The state as the API says it; null until it is known. */
  #state = null;
  /** The seed that waits for its first code, or null. */
  #begun = null;
  /** Recovery codes that were made a moment ago: they are shown once. */
  #codes = [];

  constructor(view) {
    this.view = view;
    this.beginning = new Form(view, "second-factor-begin", "PasswordBody", async (values) => {
      this.#begun = await api.post(PATH, values);
    });
    this.confirming = new Form(view, "second-factor-confirm", "CodeBody", async (values) => {
      this.#codes = (await api.put(PATH, values)).recovery_codes;
      this.#begun = null;
      await this.#changed();
    });
    this.renewing = new Form(view, "recovery-codes", "ConfirmedBody", async (values, element) => {
      this.#codes = (await api.post(`${PATH}/recovery-codes`, values)).recovery_codes;
      element.reset();
      await this.#changed();
    });
    this.ending = new Form(view, "second-factor-off", "ConfirmedBody", async (values) => {
      await api.delete(PATH, values);
      this.#codes = [];
      await this.#changed();
    });
  }

  get isOn() {
    return this.#state?.enabled === true;
  }

  load() {
    return this.view.load(async () => {
      this.#state = await api.get(PATH, { signal: this.view.signal });
    });
  }

  async #changed() {
    await this.load();
    // What the staff may do can depend on it.
    session.check();
  }

  template() {
    return html`<h2 id="second-factor">Second step at log-in</h2>
      ${this.#state === null ? nothing : this.#state.enabled ? this.#on() : this.#off()}`;
  }

  #off() {
    return html`<p>
        With a second step, a password alone lets nobody in: a log-in also needs a code from an app on your phone.
      </p>
      ${this.#state.required ? html`<p class="notice">On this site, moderators and admins need it for their work.</p>` : nothing}
      ${this.#begun ? this.#confirmation() : html`<details>
            <summary>Turn it on</summary>
            ${formOf(this.beginning, { label: "Second step", action: "Continue" }, [input(this.beginning, PASSWORD)])}
          </details>`}`;
  }

  #confirmation() {
    const { qr, qr_size: size, secret } = this.#begun;
    return html`<p>Scan this with an app for one-time codes, or type the key into it. Then enter the code that it shows.</p>
      <svg class="qr" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label="QR code of the key">
        ${svg`<rect width=${size} height=${size} fill="#fff" /><path d=${qr} fill="#000" />`}
      </svg>
      <p>Key: <code class="secret" translate="no">${secret.replace(/(.{4})(?=.)/g, "$1 ")}</code></p>
      ${formOf(this.confirming, { label: "First code", action: "Turn it on" }, [
        input(this.confirming, { ...CODE, label: "Code from the app", inputmode: "numeric" }),
      ])}`;
  }

  #on() {
    return html`<p>It is on, since ${day(this.#state.since)}. ${left(this.#state.recovery_codes_left)}</p>
      ${this.#codes.length ? this.#fresh() : nothing}
      <details>
        <summary>Get new recovery codes</summary>
        ${formOf(this.renewing, { label: "New recovery codes", action: "Get new codes" }, [
          input(this.renewing, PASSWORD),
          input(this.renewing, ANY_CODE),
        ])}
      </details>
      <details>
        <summary>Turn it off</summary>
        ${formOf(this.ending, { label: "Turn the second step off", action: "Turn it off", kind: "danger" }, [
          input(this.ending, PASSWORD),
          input(this.ending, ANY_CODE),
        ])}
      </details>`;
  }

  #fresh() {
    return html`<div class="notice" role="status">
      <p>
        Keep these recovery codes in a safe place, away from your phone. Each lets you in once if the phone is lost. They are shown
        only now.
      </p>
      <ul class="recovery-codes" translate="no">
        ${this.#codes.map((code) => html`<li><code>${code}</code></li>`)}
      </ul>
    </div>`;
  }
}

function left(count) {
  if (count === 0) return "There is no recovery code left: get new ones.";
  return count === 1 ? "One recovery code is left." : `${count} recovery codes are left.`;
}
