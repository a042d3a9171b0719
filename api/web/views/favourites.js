// The user's favourites, the latest first.

import { html } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { card } from "../ui/card.js";
import { PagedList } from "../ui/list.js";
import { myTabs } from "../ui/tabs.js";
import { View } from "../view.js";

export class Favourites extends View {
  title = "Favourites";
  listings = new PagedList(this, "/api/me/favourites");

  start() {
    this.listings.load();
  }

  template() {
    return html`${myTabs()}
      <h1>Favourites</h1>
      <ul class="cards">
        ${repeat(
          this.listings.items,
          (listing) => listing.id,
          (listing, index) => html`<li>${card(listing, index === 0)}</li>`,
        )}
      </ul>
      ${this.listings.foot("None yet. Press the heart on a car that you like.")}`;
  }
}
