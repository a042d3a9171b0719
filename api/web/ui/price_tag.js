// A price, and what it was before it dropped.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { price } from "../format.js";

export function priceTag(listing) {
  const before = listing.price_history?.at(-1)?.price ?? null;
  return priceWith(listing.price, before);
}

/** Shows the price before only if the price has dropped. */
export function priceWith(now, before) {
  const isDrop = now !== null && before !== null && now < before;
  return html`${price(now)}${isDrop ? html`<span class="was">, was ${price(before)}</span>` : nothing}`;
}
