// Tells people that their e-mail address is not confirmed yet, and sends the mail with the link again.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { limits, whereMailsAre } from "../limits.js";
import { session } from "../session.js";
import { Acts } from "./acts.js";

export class Unconfirmed {
  #acts;

  constructor(view) {
    this.#acts = new Acts(view);
  }

  template() {
    const me = session.user;
    // A session from before an upgrade does not say it.
    if (!limits.mail || me.confirmed === undefined || (me.confirmed && !me.new_email)) return nothing;
    return html`<div class="notice">
      <p>
        We have sent a mail to ${isolated(me.new_email ?? me.email)}. Please confirm the address by the link in it.
        ${me.must_confirm ? "Until then you can neither offer cars nor write to somebody first." : nothing}
        ${me.new_email ? html`Until then your address is ${isolated(me.email)}.` : nothing} ${whereMailsAre}
      </p>
      <p><button class="button small" @click=${() => this.#send()}>Send the mail again</button></p>
      ${this.#acts.template()}
    </div>`;
  }

  #send() {
    return this.#acts.do(() => api.post("/api/me/address/link"), "Another mail is on its way.");
  }
}
