// For moderators: the open reports, those about one listing or one person together, the most reported first.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { count, nameOf } from "../format.js";
import { openReports } from "../open_reports.js";
import { Acts } from "../ui/acts.js";
import { carInBrief } from "../ui/car_in_brief.js";
import { hideDialog } from "../ui/hide_dialog.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";
import { moderationTabs } from "../ui/tabs.js";
import { userText } from "../ui/user_text.js";
import { View } from "../view.js";

const REASONS = {
  spam: "Spam",
  fraud: "Fraud",
  offensive: "Offensive",
  wrong_category: "Wrong category",
  sold: "Sold",
  other: "Other",
};

export class Reports extends View {
  title = "Reports";
  reports = new PagedList(this, "/api/reports", { limit: 50 });
  acts = new Acts(this);
  /** The reports that were resolved last, which can be undone. */
  #resolved = [];
  hiding = hideDialog(this, async () => {
    this.hiding.subject.hidden = true;
    this.acts.words = "The listing is hidden.";
  });

  start() {
    this.reports.load();
    openReports.ask();
  }

  /** The reports in groups: those about one listing, and those about one person. */
  get #groups() {
    const groups = new Map();
    for (const report of this.reports.items) {
      const key = report.user_id ? `user ${report.user_id}` : `listing ${report.listing_id}`;
      groups.set(key, [...(groups.get(key) ?? []), report]);
    }
    return [...groups];
  }

  template() {
    return html`${moderationTabs()}
      <h1>Reports</h1>
      <div class="acts">
        ${this.acts.template()}
        ${this.#resolved.length
          ? html`<button class="button small" @click=${() => this.#undo()}>Undo</button>`
          : nothing}
      </div>
      <ul class="rows">
        ${this.#groups.map(([key, reports]) => this.#group(key, reports))}
      </ul>
      ${this.reports.foot("Nothing is reported.")} ${this.hiding.template()}`;
  }

  #group(key, reports) {
    const [first] = reports;
    return html`<li class="report-group" data-group=${key}>
      ${first.user_id ? this.#person(first) : this.#car(first.listing)}
      <ul class="reports">
        ${reports.map((report) => this.#report(report))}
      </ul>
      <div class="row-buttons">
        ${first.user_id || first.listing.trashed ? nothing : this.#hideButton(first.listing)}
        <a class="button small" href=${`/moderation/people/${first.person.id}`}>What was done before</a>
        <button class="button small primary" @click=${() => this.#resolve(reports)}>
          ${reports.length > 1 ? `Resolve all ${reports.length}` : "Resolved"}
        </button>
      </div>
    </li>`;
  }

  #person({ person }) {
    return html`<p class="report-subject">
      <a href=${`/?seller_id=${person.id}&status=any`}><bdi translate="no">${nameOf(person)}</bdi></a> <span class="quiet">(a person)</span>
    </p>`;
  }

  #car(listing) {
    return html`<div class="report-subject">
      ${listing.trashed ? html`<bdi>${listing.title}</bdi> <span class="quiet">(in the trash)</span>` : carInBrief(listing)}
      ${listing.hidden ? html`<span class="flag">Hidden</span>` : nothing}
    </div>`;
  }

  #hideButton(listing) {
    return listing.hidden
      ? html`<button class="button small" @click=${() => this.#show(listing)}>Show again</button>`
      : html`<button class="button small" @click=${() => this.hiding.open(listing)}>Hide</button>`;
  }

  #report(report) {
    const { reason, text, quote, message_id, listing, user_id } = report;
    return html`<li data-report=${report.id}>
      <p>
        <span class="flag">${REASONS[reason] ?? reason}</span>
        ${quote ? html`<span class="quiet">${message_id ? "A message:" : "A reply:"}</span>` : nothing}
        ${user_id && listing ? html`<a href=${`/listings/${listing.id}`}><bdi>${listing.title}</bdi></a>` : nothing}
      </p>
      ${quote ? html`<blockquote class="user-text" dir="auto">${userText(quote)}</blockquote>` : nothing}
      ${text ? html`<p class="user-text" dir="auto">${text}</p>` : nothing}
      <p class="quiet small-text"><bdi translate="no">${nameOf(report.reporter)}</bdi>, ${ago(report.created_at)}</p>
    </li>`;
  }

  async #show(listing) {
    await this.acts.do(async () => {
      await api.delete(`/api/listings/${listing.id}/hidden`);
      listing.hidden = false;
    }, "The listing is shown again.");
  }

  async #resolve(reports) {
    this.#resolved = [];
    await this.acts.do(async () => {
      for (const report of reports) {
        await api.put(`/api/reports/${report.id}/resolved`);
        this.reports.remove(report);
        this.#resolved.push(report);
      }
    }, count(reports.length, "report is resolved.", "reports are resolved."));
    openReports.ask();
  }

  async #undo() {
    const reports = this.#resolved;
    this.#resolved = [];
    await this.acts.do(async () => {
      for (const report of reports) await api.delete(`/api/reports/${report.id}/resolved`);
      await this.reports.load();
    }, count(reports.length, "report is open again.", "reports are open again."));
    openReports.ask();
  }
}
