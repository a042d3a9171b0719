// For moderators: the open reports, those of the most reported listing first.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { count, nameOf } from "../format.js";
import { Acts } from "../ui/acts.js";
import { hideDialog } from "../ui/hide_dialog.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";
import { moderationTabs } from "../ui/tabs.js";
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
  hiding = hideDialog(this, () => this.acts.do(async () => {}, "The listing is hidden."));

  start() {
    this.reports.load();
  }

  template() {
    return html`${moderationTabs()}
      <h1>Reports</h1>
      ${this.acts.template()}
      ${this.reports.rows((report) => this.#row(report), "Nothing is reported.")} ${this.hiding.template()}`;
  }

  #row(report) {
    const { listing } = report;
    return html`<li data-report=${report.id}>
      <div class="row-text">
        <p>
          <span class="flag">${REASONS[report.reason] ?? report.reason}</span>
          ${listing.trashed
            ? html`<bdi>${listing.title}</bdi> <span class="quiet">(in the trash)</span>`
            : html`<a href=${`/listings/${listing.id}`}><bdi>${listing.title}</bdi></a>`}
        </p>
        ${report.text ? html`<p class="user-text" dir="auto">${report.text}</p>` : nothing}
        <p class="quiet small-text">
          <bdi translate="no">${nameOf(report.reporter)}</bdi>, ${ago(report.created_at)} ·
          ${count(report.report_count, "open report", "open reports")} of this listing
        </p>
      </div>
      <div class="row-buttons">
        ${listing.trashed
          ? nothing
          : html`<button class="button small" @click=${() => this.hiding.open(listing)}>Hide</button>`}
        <button class="button small primary" @click=${() => this.#resolve(report)}>Resolved</button>
      </div>
    </li>`;
  }

  #resolve(report) {
    return this.acts.do(async () => {
      await api.put(`/api/reports/${report.id}/resolved`);
      this.reports.remove(report);
    }, "The report is resolved.");
  }
}
