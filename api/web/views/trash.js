// The trash: moderators restore listings from it; admins can also delete them permanently.

import { rowPicture } from "../ui/row_picture.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { nameOf } from "../format.js";
import { isolated } from "../isolate.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { Dialog } from "../ui/dialog.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";
import { restoreDialog } from "../ui/restore_dialog.js";
import { moderationTabs } from "../ui/tabs.js";
import { View } from "../view.js";

export class Trash extends View {
  title = "Trash";
  listings = new PagedList(this, "/api/trash");
  acts = new Acts(this);
  restoring = restoreDialog(this, (listing) => this.#gone(listing, `“${isolated(listing.title)}” is restored.`));
  deleting = new Dialog(this, "delete-for-good", {
    title: (listing) => `Delete “${isolated(listing?.title ?? "")}” for good?`,
    action: "Delete for good",
    isDanger: true,
    fields: () => html`<p>Its pictures and replies go with it. This cannot be undone.</p>`,
    submit: async (_, listing) => {
      await api.delete(`/api/trash/${listing.id}`);
      this.#gone(listing, `“${isolated(listing.title)}” is deleted for good.`);
    },
  });

  start() {
    this.listings.load();
  }

  #gone(listing, words) {
    this.listings.remove(listing);
    this.acts.words = words;
    this.update();
  }

  template() {
    return html`${moderationTabs()}
      <h1>Trash</h1>
      ${this.acts.template()}
      ${this.listings.rows((listing) => this.#row(listing), "The trash is empty.")} ${this.restoring.template()} ${this.deleting.template()}`;
  }

  #row(listing) {
    const { by, at, reason } = listing.trashed;
    return html`<li>
      ${rowPicture(listing)}
      <div class="row-text">
        <p dir="auto">${listing.title}</p>
        <p class="quiet small-text">
          ${ago(at)} ${by ? html`by <bdi translate="no">${nameOf(by)}</bdi>` : nothing} ${reason ? html`· <bdi>${reason}</bdi>` : nothing}
        </p>
      </div>
      <div class="row-buttons">
        <button class="button small" aria-label=${`Restore ${isolated(listing.title)}`} @click=${() => this.restoring.open(listing)}>
          Restore
        </button>
        ${session.is("admin")
          ? html`<button
              class="button small danger"
              aria-label=${`Delete for good: ${isolated(listing.title)}`}
              @click=${() => this.deleting.open(listing)}
            >
              Delete for good
            </button>`
          : nothing}
      </div>
    </li>`;
  }
}
