// The car that a conversation is about: its picture, title and price in one line that leads to it.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { price } from "../format.js";
import { carIcon } from "./icons.js";
import { isGuarded } from "./picture.js";

/** Returns a listing as conversations have it. */
export function briefOf(listing) {
  const { id, title, price, status, pictures } = listing;
  return { id, title, price, status, thumbnail_url: pictures[0]?.thumbnail_url ?? null, for_anyone: !isGuarded(listing) };
}

export function carInBrief({ id, title, price: asked, status, thumbnail_url: url, for_anyone: isForAnyone }) {
  return html`<a class="car-in-brief" href=${`/listings/${id}`} data-car=${id}>
    <span class="car-in-brief-picture">
      ${!url
        ? html`<span class="no-picture">${carIcon}</span>`
        : isForAnyone
          ? html`<img src=${url} alt="" />`
          : html`<guarded-picture src=${url} alt=""></guarded-picture>`}
    </span>
    <span class="car-in-brief-text">
      <bdi class="car-in-brief-title">${title}</bdi>
      <span><span class="price">${price(asked)}</span> ${status === "sold" ? html`<span class="flag">Sold</span>` : nothing}</span>
    </span>
  </a>`;
}
