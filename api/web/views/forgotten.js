// Asks for a mail with a link, for who has forgotten the password.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { whereMailsAre } from "../limits.js";
import { Form, formOf, input } from "../ui/form.js";
import { View } from "../view.js";

export class Forgotten extends View {
  title = "Forgotten password";
  form = new Form(this, "forgotten", "ForgottenBody", async (values) => {
    const { valid_seconds: seconds } = await api.post("/api/password/forgotten", values);
    const minutes = Math.round(seconds / 60);
    const when = `Its link works once, for ${minutes} minutes.`;
    return `If there is an account with this address, a mail is on its way. ${when}${whereMailsAre}`;
  });

  template() {
    return html`<section class="narrow">
      <h1>Forgotten password</h1>
      <p>We send you a mail with a link. With it you choose a new password.</p>
      ${formOf(this.form, { label: "Forgotten password", action: "Send the mail" }, [
        input(this.form, { name: "email", label: "E-mail address", type: "email", autocomplete: "username", required: true }),
      ])}
      <p><a href="/login">Log in</a></p>
    </section>`;
  }
}
