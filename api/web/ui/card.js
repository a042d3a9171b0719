// A listing in a list.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { away, mileage as driven } from "../format.js";
import { isolated } from "../isolate.js";
import { heart } from "./heart.js";
import { ago, ahead } from "./moment.js";
import { IN_LIST, isForMembers, picture } from "./picture.js";
import { priceTag } from "./price_tag.js";

export function card(listing, isFirst = false) {
  const [first] = listing.pictures ?? [];
  return html`<article class="card">
    <div class="card-picture">${picture(listing, first, "", { shown: IN_LIST, isFirst })}${flags(listing)}</div>
    <div class="card-text">
      <h2 dir="auto"><a href=${`/listings/${listing.id}`}>${listing.title}</a></h2>
      <p class="price" translate="no">${priceTag(listing)}</p>
      <p class="quiet">${facts(listing)}</p>
      <p class="quiet small-text">${ago(listing.created_at)}${end(listing)}</p>
    </div>
    ${heart(listing)}
  </article>`;
}

/** When the listing ends, for whoever is told: its seller and moderators. */
function end({ expires_at, ended, status }) {
  if (!expires_at || ended || status === "sold") return nothing;
  return html` · <span class="ends">ends ${ahead(expires_at)}</span>`;
}

/** Small signs for a listing's special states. */
export function flags(listing) {
  const words = [
    [listing.hidden, "Hidden"],
    [listing.ended, "Ended"],
    [listing.status === "sold", "Sold"],
    [isForMembers(listing), "Members only"],
  ].filter(([is]) => is);
  if (!words.length) return nothing;
  return html`<p class="flags">${words.map(([, word]) => html`<span class="flag">${word}</span>`)}</p>`;
}

export function facts({ year, mileage, location, distance_m }) {
  const distance = distance_m === undefined ? null : away(distance_m);
  return [year, mileage === null || mileage === undefined ? null : driven(mileage), location && isolated(location), distance]
    .filter(Boolean)
    .join(" · ");
}
