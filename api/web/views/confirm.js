// Confirms an e-mail address, with the link from a mail. Programs that check mails open links, so a button does it.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { takeLinkToken } from "../link_token.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { Form, formOf } from "../ui/form.js";
import { View } from "../view.js";

export class Confirm extends View {
  title = "Confirm your address";
  #token = "";
  form = new Form(this, "confirm", "ConfirmBody", async () => {
    await api.post("/api/address/confirm", { token: this.#token });
    if (session.user) await session.rename(await api.get("/api/me"));
    navigate(session.user ? "/account" : "/login", { replace: true, notice: "Your e-mail address is confirmed. Thank you." });
  });

  start() {
    this.#token = takeLinkToken();
  }

  template() {
    if (!this.#token) {
      return html`<section class="narrow">
        <h1>Confirm your address</h1>
        <p>Please open the link in the mail again. <a href="/account">Your account</a> has a way to another mail.</p>
      </section>`;
    }
    return html`<section class="narrow">
      <h1>Confirm your address</h1>
      ${formOf(this.form, { label: "Confirm your address", action: "Confirm the address" }, [])}
    </section>`;
  }
}
