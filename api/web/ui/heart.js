// The button that makes a listing a favourite, or takes it from the favourites.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { update } from "../page.js";
import { Problem } from "../problem.js";
import { session } from "../session.js";
import { announce } from "./announcer.js";
import { heartIcon } from "./icons.js";

/** `words` is shown beside the heart; without it the button has only a name for screen readers. */
export function heart(listing, words = nothing) {
  if (!session.user || session.user.id === listing.seller.id) return nothing;
  return html`<button
    class="heart ${words === nothing ? "" : "button"}"
    aria-pressed=${String(Boolean(listing.favourite))}
    aria-label=${words === nothing ? `Favourite: ${isolated(listing.title)}` : nothing}
    @click=${() => toggle(listing)}
  >
    ${heartIcon}${words}
  </button>`;
}

async function toggle(listing) {
  const isFavourite = !listing.favourite;
  listing.favourite = isFavourite;
  update();
  const path = `/api/listings/${listing.id}/favourite`;
  try {
    await (isFavourite ? api.put(path) : api.delete(path));
    announce(isFavourite ? `${isolated(listing.title)} is a favourite.` : `${isolated(listing.title)} is no favourite any more.`);
  } catch (error) {
    listing.favourite = !isFavourite;
    announce(Problem.of(error).message);
  }
  update();
}
