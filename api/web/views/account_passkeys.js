// The user's passkeys: adding one on this device, removing one. A part of the account.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { declined, hasPasskeys, isDeclined, makePasskey } from "../passkeys.js";
import { Problem } from "../problem.js";
import { Dialog } from "../ui/dialog.js";
import { Form, formOf, input } from "../ui/form.js";
import { ago } from "../ui/moment.js";
import { ANY_CODE } from "./account_second_factor.js";

const PATH = "/api/me/passkeys";
const PASSWORD = { name: "current_password", label: "Current password", type: "password", autocomplete: "current-password", required: true };

export class Passkeys {
  /** The passkeys as the API lists them; null until they are known. */
  #items = null;

  constructor(view) {
    this.view = view;
    this.adding = new Form(view, "passkey", "PasskeyBody", async ({ name, ...known }, element) => {
      const { options } = await api.post(`${PATH}/options`, known);
      let credential;
      try {
        credential = await makePasskey(options);
      } catch (error) {
        if (isDeclined(error)) throw declined();
        if (error.name === "InvalidStateError") throw new Problem({ title: "This device has a passkey for your account already." });
        throw error;
      }
      await api.post(PATH, { name, credential });
      element.reset();
      await this.load();
      return "Your next log-in can be with this passkey.";
    });
    this.removing = new Dialog(view, "passkey-remove", {
      title: (one) => `Remove the passkey ${isolated(one?.name ?? "")}?`,
      action: "Remove",
      request: "PasswordBody",
      isDanger: true,
      fields: (form) => input(form, PASSWORD),
      submit: async (values, one) => {
        await api.delete(`${PATH}/${one.id}`, values);
        await this.load();
      },
    });
  }

  load() {
    return this.view.load(async () => {
      this.#items = (await api.get(PATH, { signal: this.view.signal })).data;
    });
  }

  template() {
    if (!this.#items || (!hasPasskeys && this.#items.length === 0)) return nothing;
    return html`<h2>Passkeys</h2>
      <p>With a passkey you log in by your finger, your face or the PIN of your device, without a password.</p>
      ${this.#items.length ? html`<ul class="rows">${this.#items.map((one) => this.#row(one))}</ul>` : nothing}
      ${hasPasskeys
        ? html`<details>
            <summary>Add a passkey</summary>
            ${formOf(this.adding, { label: "Passkey", action: "Add a passkey" }, [
              input(this.adding, { name: "name", label: "Name of the passkey", hint: "For yourself, such as the name of this device.", required: true }),
              input(this.adding, PASSWORD),
              this.view.secondFactor.isOn ? input(this.adding, ANY_CODE) : nothing,
            ])}
          </details>`
        : nothing}
      ${this.removing.template()}`;
  }

  #row(one) {
    return html`<li data-passkey=${one.id}>
      <div class="row-text">
        <p><bdi>${one.name}</bdi></p>
        <p class="quiet small-text">Added ${ago(one.created_at)}${one.used_at ? html`, used ${ago(one.used_at)}` : nothing}</p>
      </div>
      <button class="button small" aria-label=${`Remove ${isolated(one.name)}`} @click=${() => this.removing.open(one)}>Remove</button>
    </li>`;
  }
}
