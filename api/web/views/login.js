// Logs in, and goes back to the address that needed the log-in.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { limits } from "../limits.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { readDeviceId } from "../session_store.js";
import { declined, hasPasskeys, isDeclined, usePasskey } from "../passkeys.js";
import { Acts } from "../ui/acts.js";
import { Form, formOf, input } from "../ui/form.js";
import { View } from "../view.js";
import { whereTo } from "../where_to.js";

export class Login extends View {
  title = "Log in";
  acts = new Acts(this);
  form = new Form(this, "login", "LoginBody", async (values) => {
    try {
      session.begin(await api.post("/api/login", { ...values, device_id: readDeviceId() }));
    } catch (error) {
      this.#objectionToken = error.objectionToken ?? "";
      if (error.type !== "second-factor-needed") throw error;
      this.#askCode();
    }
  });

  /** Whether the account has a second step, so that the form asks for a code too. */
  #needsCode = false;

  /** With it, somebody who is banned can object; "" if the last log-in was not refused for that. */
  #objectionToken = "";

  /** Called again as soon as somebody is logged in. What the server renders has links to here also for those who are. */
  start() {
    if (session.user) navigate(whereTo(this.query), { replace: true });
  }

  #askCode() {
    this.#needsCode = true;
    this.update();
    requestAnimationFrame(() => document.getElementById("login-code")?.focus());
  }

  #withPasskey() {
    return this.acts.do(async () => {
      const { options } = await api.post("/api/login/passkey/options");
      let credential;
      try {
        credential = await usePasskey(options);
      } catch (error) {
        throw isDeclined(error) ? declined() : error;
      }
      session.begin(await api.post("/api/login/passkey", { credential, device_id: readDeviceId() }));
    }, "");
  }

  template() {
    const next = new URLSearchParams({ next: whereTo(this.query) });
    return html`<section class="narrow">
      <h1>Log in</h1>
      ${formOf(this.form, { label: "Log in", action: "Log in" }, [
        input(this.form, { name: "email", label: "E-mail address", type: "email", autocomplete: "username", required: true }),
        input(this.form, {
          name: "password",
          label: "Password",
          type: "password",
          autocomplete: "current-password",
          required: true,
        }),
        this.#needsCode
          ? input(this.form, {
              name: "code",
              label: "Code",
              hint: "From the app on your phone; or a recovery code.",
              autocomplete: "one-time-code",
              required: true,
            })
          : nothing,
      ])}
      ${this.#objectionToken
        ? html`<p><a class="button" href=${`/objection#${this.#objectionToken}`}>Object to this</a></p>`
        : nothing}
      ${hasPasskeys
        ? html`<p><button type="button" class="button" @click=${() => this.#withPasskey()}>Log in with a passkey</button></p>
            ${this.acts.template()}`
        : nothing}
      ${limits.mail ? html`<p><a href="/password/forgotten">Forgot your password?</a></p>` : nothing}
      <p>New here? <a href=${`/register?${next}`}>Register</a></p>
    </section>`;
  }
}
