// What moderators did to this person: warnings, suspensions, hidden listings. The person can object once to each.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { Acts } from "../ui/acts.js";
import { Dialog } from "../ui/dialog.js";
import { textarea } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { KINDS, objectionText, sanctionText } from "../ui/sanctions.js";
import { View } from "../view.js";

export class Sanctions extends View {
  title = "What moderators did";
  acts = new Acts(this);
  sanctions = new PagedList(this, "/api/me/sanctions");
  objecting = new Dialog(this, "objection", {
    title: (sanction) => `Object to: ${KINDS[sanction?.kind] ?? ""}`,
    action: "Object",
    request: "ObjectionBody",
    fields: (form) => [textarea(form, { name: "text", label: "What is wrong with it? You can say this once.", rows: 5, required: true })],
    submit: async ({ text }, sanction) => {
      const { objection } = await api.post("/api/objections", { token: sanction.objection_token, text });
      Object.assign(sanction, { objection, objection_token: null });
      this.acts.words = "Your objection waits for a moderator, if possible another one.";
    },
  });

  start() {
    this.sanctions.load();
  }

  template() {
    return html`<h1>What moderators did</h1>
      ${this.acts.template()}
      ${this.sanctions.rows((one) => this.#row(one), "Nothing was done to you.")} ${this.objecting.template()}`;
  }

  #row(sanction) {
    return html`<li data-sanction=${sanction.id}>
      <div class="row-text">${sanctionText(sanction)} ${objectionText(sanction.objection)}</div>
      <div class="row-buttons">
        ${sanction.objection_token
          ? html`<button class="button small" @click=${() => this.objecting.open(sanction)}>Object</button>`
          : nothing}
      </div>
    </li>`;
  }
}
