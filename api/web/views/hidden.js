// For moderators: the listings that are hidden now.

import { rowPicture } from "../ui/row_picture.js";
import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { Acts } from "../ui/acts.js";
import { PagedList } from "../ui/list.js";
import { exactly } from "../ui/moment.js";
import { moderationTabs } from "../ui/tabs.js";
import { View } from "../view.js";

export class Hidden extends View {
  title = "Hidden listings";
  listings = new PagedList(this, "/api/listings", { hidden: "true", status: "any" });
  acts = new Acts(this);

  start() {
    this.listings.load();
  }

  template() {
    return html`${moderationTabs()}
      <h1>Hidden listings</h1>
      ${this.acts.template()}
      ${this.listings.rows((listing) => this.#row(listing), "No listing is hidden.")}`;
  }

  #row(listing) {
    const { hidden_until: until, hidden_reason: reason } = listing;
    return html`<li>
      ${rowPicture(listing)}
      <div class="row-text">
        <p><a href=${`/listings/${listing.id}`}><bdi>${listing.title}</bdi></a></p>
        <p class="quiet small-text">${until ? html`Until ${exactly(until)}` : "Until it is shown again"}</p>
        ${reason ? html`<p class="user-text" dir="auto">${reason}</p>` : ""}
      </div>
      <div class="row-buttons">
        <button class="button small" @click=${() => this.#show(listing)}>Show again</button>
      </div>
    </li>`;
  }

  #show(listing) {
    return this.acts.do(async () => {
      await api.delete(`/api/listings/${listing.id}/hidden`);
      this.listings.remove(listing);
    }, "The listing is shown again.");
  }
}
