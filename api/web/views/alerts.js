// Everything that the user was told of listings, latest first; what arrives is added at the top. Opening it marks all as seen.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { nameOf } from "../format.js";
import { alerts } from "../realtime/my_alerts.js";
import { PagedList } from "../ui/list.js";
import { ago, exactly } from "../ui/moment.js";
import { priceWith } from "../ui/price_tag.js";
import { myTabs } from "../ui/tabs.js";
import { userText } from "../ui/user_text.js";
import { View } from "../view.js";

const WORDS = {
  match: "New",
  price_drop: "Cheaper",
  sold: "Sold",
  removed: "No longer available",
  ended: "Has ended",
  ends: "Your listing ends",
  reply: "Reply",
};
const GONE = ["removed", "ended"];
const WITHOUT_PRICE = [...GONE, "ends", "reply"];

export class AlertsView extends View {
  title = "Alerts";
  alerts = new PagedList(this, "/api/alerts");
  #forget = () => {};
  #onShow = () => this.#see();

  start() {
    this.#forget = alerts.onNews((alert) => this.#add(alert));
    document.addEventListener("visibilitychange", this.#onShow);
    this.alerts.load().then(() => this.#see());
  }

  stop() {
    super.stop();
    this.#forget();
    document.removeEventListener("visibilitychange", this.#onShow);
  }

  #add(alert) {
    if (this.alerts.items.some((one) => one.id === alert.id)) return;
    this.alerts.items = [alert, ...this.alerts.items].sort((a, b) => b.id - a.id);
    this.#see();
    this.update();
  }

  /** They stay marked as new on this page until it is left. */
  #see() {
    const newest = this.alerts.items[0];
    if (!newest || this.isLeft || document.visibilityState !== "visible") return;
    if (newest.seen_at === null) alerts.see(newest.id).catch(() => {});
  }

  template() {
    return html`${myTabs()}
      <h1>Alerts</h1>
      ${this.alerts.rows((alert) => this.#row(alert), "Nothing yet. Save a search, mark a car as a favourite, or sell one.")}`;
  }

  #row(alert) {
    const { kind, listing_id, title, search, told_at, seen_at, price, price_before, reply, until } = alert;
    return html`<li data-alert=${alert.id} class=${seen_at === null ? "is-new" : ""}>
      <div class="row-text">
        <p>
          ${GONE.includes(kind) ? html`<bdi>${title}</bdi>` : html`<a href=${`/listings/${listing_id}`}><bdi>${title}</bdi></a>`}
          ${WITHOUT_PRICE.includes(kind) ? nothing : html`<span class="price">${priceWith(price, price_before)}</span>`}
        </p>
        ${reply ? html`<p class="user-text" dir="auto"><bdi translate="no">${nameOf(reply.author)}</bdi>: <bdi>${userText(reply.text)}</bdi></p>` : nothing}
        <p class="quiet small-text">
          ${seen_at === null ? html`<span class="for-readers">Not seen yet. </span>` : nothing}
          ${WORDS[kind]}${until ? html` ${exactly(until)}` : nothing}${search ? html` for <a href="/searches"><bdi>${search.name}</bdi></a>` : nothing} ·
          ${ago(told_at)}
        </p>
      </div>
    </li>`;
  }
}
