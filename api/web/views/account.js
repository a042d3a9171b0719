// The user's own account: profile, password, mails, own listings, blocked people, leaving.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { change } from "../changes.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { Form, formOf, input } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { PagedList } from "../ui/list.js";
import { PushSwitch } from "../ui/push_switch.js";
import { RequestsSwitch } from "../ui/requests_switch.js";
import { MailChoices } from "../ui/mail_choices.js";
import { PasswordMeter } from "../ui/password_meter.js";
import { Unconfirmed } from "../ui/unconfirmed.js";
import { View } from "../view.js";
import { navigate } from "../navigation.js";
import { Passkeys } from "./account_passkeys.js";
import { SecondFactor } from "./account_second_factor.js";
import { Sessions } from "./account_sessions.js";

const PASSWORD_NOW = { name: "current_password", label: "Current password", type: "password", autocomplete: "current-password" };

/** How long the downloaded data is kept for the browser to save it. */
const KEPT_MS = 60_000;

export class Account extends View {
  title = "Your account";
  /** The profile that the form showed when it was last sent, and was refused; null if it shows the session's. */
  #seen = null;
  #draft = new FormDraft("profile");
  blocks = new PagedList(this, "/api/me/blocks");
  acts = new Acts(this);
  sessions = new Sessions(this);
  secondFactor = new SecondFactor(this);
  push = new PushSwitch(this);
  passkeys = new Passkeys(this);
  mails = new MailChoices(this);
  requests = new RequestsSwitch(this);
  unconfirmed = new Unconfirmed(this);
  profile = new Form(this, "profile", "ProfileBody", async (values, element) => {
    this.#seen ??= { ...session.user };
    await session.rename(await change("/api/me", this.#seen, values, { name: "Name", email: "E-mail address" }));
    this.#seen = null;
    this.#draft = this.#draft.forget();
    element.elements.current_password.value = "";
    return "Saved.";
  });
  password = new Form(this, "password", "ProfileBody", async (values, element) => {
    await api.patch("/api/me", values);
    element.reset();
    this.meter.clear();
    this.sessions.load();
    return "Your password is changed. Other devices are logged out.";
  });

  meter = new PasswordMeter(this, this.password, () => ({ name: session.user.name, email: session.user.email }));
  leaving = new Form(this, "leave", "LeaveBody", async (values) => {
    await api.delete("/api/me", values);
    session.end();
    navigate("/", { notice: "Your account is gone. Thank you for having been here." });
  });

  start() {
    this.blocks.load();
    this.sessions.load();
    this.secondFactor.load();
    this.push.load();
    this.passkeys.load();
    this.mails.load();
  }

  afterDraw() {
    this.#draft.drawn(this, this.profile);
  }

  template() {
    const me = session.user;
    return html`<section class="narrow">
      <h1>Your account</h1>
      <p><a href=${`/?seller_id=${me.id}&status=any`}>Your listings</a> · <a href="/listings/deleted">Deleted listings</a> · <a href="/account/sanctions">What moderators did</a></p>
      ${this.unconfirmed.template()}
      <h2>Profile</h2>
      ${formOf(this.profile, { label: "Profile", action: "Save" }, [
        input(this.profile, { name: "name", label: "Name", value: me.name, autocomplete: "nickname", required: true }),
        input(this.profile, {
          name: "email",
          label: "E-mail address",
          type: "email",
          value: me.email,
          autocomplete: "email",
          required: true,
        }),
        input(this.profile, { ...PASSWORD_NOW, hint: "Needed to change the e-mail address." }),
      ])}
      <h2>Password</h2>
      ${formOf(this.password, { label: "Password", action: "Change password" }, [
        input(this.password, { ...PASSWORD_NOW, required: true }),
        this.meter.field("New password"),
      ])}
      ${this.secondFactor.template()} ${this.passkeys.template()} ${this.sessions.template()}
      ${this.push.template()}
      <h2>Mail</h2>
      ${this.mails.template()}
      ${this.requests.template()}
      <h2>Blocked people</h2>
      ${this.blocks.rows(
        (one) =>
          html`<li>
            <span><bdi translate="no">${one.name}</bdi></span>
            <button class="button small" aria-label=${`Unblock ${isolated(one.name)}`} @click=${() => this.#unblock(one)}>
              Unblock
            </button>
          </li>`,
        "You have blocked nobody.",
      )}
      <h2>What is stored about you</h2>
      <p>One file in JSON, with everything that Daveslist has about you.</p>
      <p><button class="button" @click=${() => this.#download()}>Download your data</button></p>
      ${this.acts.template()}
      <h2>Leave Daveslist</h2>
      <details>
        <summary>Delete your account</summary>
        <p>
          Your name, address and password are erased at once, and nobody can log in as you. Your listings leave the site;
          moderators can still look at them for ${limits.erase_after_days} days, in case of fraud. Then they are erased for
          good, with their pictures. Messages and replies stay with those you wrote to. This cannot be undone.
        </p>
        ${formOf(this.leaving, { label: "Delete your account", action: "Delete my account", kind: "danger" }, [
          input(this.leaving, { ...PASSWORD_NOW, required: true }),
        ])}
      </details>
    </section>`;
  }

  /** A plain link would send no token. */
  #download() {
    return this.acts.do(async () => {
      const address = URL.createObjectURL(await api.blob("/api/me/export", this.signal));
      const link = document.createElement("a");
      link.href = address;
      link.download = `daveslist-${session.user.id}.json`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
    }, "It is among your downloads.");
  }

  async #unblock(person) {
    await this.load(() => api.delete(`/api/users/${person.id}/block`));
    this.blocks.load();
  }
}
