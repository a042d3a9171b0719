// Registers a user, who is then also logged in.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { Form, formOf, input } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { PasswordMeter } from "../ui/password_meter.js";
import { View } from "../view.js";
import { whereTo } from "../where_to.js";

export class Register extends View {
  title = "Register";
  form = new Form(this, "register", "RegisterBody", async (values) => {
    const answer = await api.post("/api/register", values);
    this.#draft.forget();
    session.begin(answer);
  });
  #draft = new FormDraft("register");

  meter = new PasswordMeter(this, this.form, ({ elements }) => ({
    name: elements.name.value,
    email: elements.email.value,
  }));

  /** Called again as soon as somebody is logged in. What the server renders has links to here also for those who are. */
  start() {
    if (session.user) navigate(whereTo(this.query), { replace: true });
  }

  afterDraw() {
    this.#draft.drawn(this, this.form);
  }

  template() {
    const next = new URLSearchParams({ next: whereTo(this.query) });
    return html`<section class="narrow">
      <h1>Register</h1>
      ${formOf(this.form, { label: "Register", action: "Register" }, [
        input(this.form, {
          name: "name",
          label: "Name",
          hint: "Others see it beside your listings and messages.",
          autocomplete: "nickname",
          required: true,
        }),
        input(this.form, {
          name: "email",
          label: "E-mail address",
          type: "email",
          hint: "Nobody but you sees it.",
          autocomplete: "username",
          required: true,
        }),
        this.meter.field("Password"),
      ])}
      <p>Registered already? <a href=${`/login?${next}`}>Log in</a></p>
    </section>`;
  }
}
