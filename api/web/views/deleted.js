// The listings that the person deleted, for as long as they can be taken back.

import { rowPicture } from "../ui/row_picture.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { navigate } from "../navigation.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { PagedList } from "../ui/list.js";
import { ago, day } from "../ui/moment.js";
import { restore, restoreDialog } from "../ui/restore_dialog.js";
import { View } from "../view.js";

export class Deleted extends View {
  title = "Deleted listings";
  listings = new PagedList(this, "/api/trash", { own: true });
  acts = new Acts(this);
  restoring = restoreDialog(this, (listing) => this.#restored(listing));

  start() {
    this.listings.load();
  }

  #restored({ id }) {
    navigate(`/listings/${id}`, { notice: "Your listing is back." });
  }

  #restore(listing) {
    if (listing.trashed.category_is_gone) return this.restoring.open(listing);
    return this.acts.do(async () => {
      await restore(listing.id);
      this.#restored(listing);
    }, "");
  }

  template() {
    return html`<h1>Deleted listings</h1>
      <p class="quiet">
        <a href=${`/?seller_id=${session.user?.id}&status=any`}>Your listings</a> that you deleted. You can restore them for
        ${limits.own_trash_days} days.
      </p>
      ${this.acts.template()} ${this.listings.rows((listing) => this.#row(listing), "You have deleted none.")}
      ${this.restoring.template()}`;
  }

  #row(listing) {
    const { at, until } = listing.trashed;
    return html`<li>
      ${rowPicture(listing)}
      <div class="row-text">
        <p dir="auto">${listing.title}</p>
        <p class="quiet small-text">Deleted ${ago(at)} ${until ? html`· can be restored until ${day(until)}` : nothing}</p>
      </div>
      <div class="row-buttons">
        <button class="button small" aria-label=${`Restore ${isolated(listing.title)}`} @click=${() => this.#restore(listing)}>
          Restore
        </button>
      </div>
    </li>`;
  }
}
