// For moderators: the objections that nobody has decided, the first one first. The list moves by itself.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { nameOf } from "../format.js";
import { openReports } from "../open_reports.js";
import { live } from "../realtime/live.js";
import { LiveModeration } from "../realtime/live_moderation.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { Dialog } from "../ui/dialog.js";
import { select, textarea } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { KINDS, objectionText, sanctionText } from "../ui/sanctions.js";
import { moderationTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const OUTCOMES = [
  ["", "Choose…"],
  ["kept", "It stays as it is"],
  ["lifted", "Lift it"],
];

export class Objections extends View {
  title = "Objections";
  acts = new Acts(this);
  objections = new PagedList(this, "/api/objections");
  deciding = new Dialog(this, "decide", {
    title: (sanction) => `Decide: ${KINDS[sanction?.kind] ?? ""}`,
    action: "Decide",
    request: "DecisionBody",
    fields: (form) => [
      select(form, { name: "outcome", label: "Decision", options: OUTCOMES, required: true }),
      textarea(form, { name: "answer", label: "Answer (they are told)", rows: 3, required: true }),
    ],
    submit: async (values, sanction) => {
      await api.put(`/api/objections/${sanction.id}/decision`, values);
      this.objections.remove(sanction);
      this.acts.words = "It is decided.";
    },
  });

  #live = new LiveModeration({
    connection: live,
    readAgain: () => this.#readAgain(),
    on: { objected: () => this.#readAgain(), decided: () => this.#readAgain() },
  });

  start() {
    this.objections.load();
    this.#live.start();
    openReports.ask();
  }

  stop() {
    this.#live.stop();
    super.stop();
  }

  #readAgain() {
    openReports.ask();
    return this.objections.loadPages(this.objections.pages);
  }

  template() {
    return html`${moderationTabs()}
      <h1>Objections</h1>
      ${this.acts.template()}
      ${this.objections.rows((one) => this.#row(one), "There are no objections.")} ${this.deciding.template()}`;
  }

  #row(sanction) {
    const isTheirs = sanction.kind === "ban" && !session.is("admin");
    return html`<li data-sanction=${sanction.id}>
      <div class="row-text">
        <p><a href=${`/moderation/people/${sanction.person.id}`}><bdi translate="no">${nameOf(sanction.person)}</bdi></a></p>
        ${sanctionText(sanction)} ${objectionText(sanction.objection)}
        ${isTheirs ? html`<p class="quiet">Admins decide about bans.</p>` : nothing}
      </div>
      <div class="row-buttons">
        ${isTheirs ? nothing : html`<button class="button small" @click=${() => this.deciding.open(sanction)}>Decide</button>`}
      </div>
    </li>`;
  }
}
