// Chooses a new password, with the link from a mail.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { takeLinkToken } from "../link_token.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { Form, formOf } from "../ui/form.js";
import { PasswordMeter } from "../ui/password_meter.js";
import { View } from "../view.js";

export class Reset extends View {
  title = "New password";
  #token = "";
  form = new Form(this, "reset", "ResetBody", async (values) => {
    await api.post("/api/password/reset", { ...values, token: this.#token });
    // The new password has ended this browser's session, too.
    await session.end();
    navigate("/login", { replace: true, notice: "Your new password is set. Please log in with it." });
  });

  meter = new PasswordMeter(this, this.form, () => ({}));

  start() {
    this.#token = takeLinkToken();
  }

  template() {
    if (!this.#token) {
      return html`<section class="narrow">
        <h1>New password</h1>
        <p>
          Please open the link in the mail again. If it does not work any more,
          <a href="/password/forgotten">ask for another mail</a>.
        </p>
      </section>`;
    }
    return html`<section class="narrow">
      <h1>New password</h1>
      ${formOf(this.form, { label: "New password", action: "Set the password" }, [this.meter.field("New password")])}
      <p>You are then logged out everywhere. <a href="/password/forgotten">Ask for another mail</a></p>
    </section>`;
  }
}
