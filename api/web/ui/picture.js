// A picture of a listing, or a placeholder. The browser itself fetches pictures that anyone may see.

import { html } from "../vendor/lit-html/lit-html.js";
import { areCategoriesKnown, categories } from "../categories.js";
import { session } from "../session.js";
import { carIcon } from "./icons.js";

/** True if the API would refuse an <img>, which sends no token. */
export function isGuarded(listing) {
  return Boolean(listing.hidden) || isForMembers(listing);
}

/** True if visitors may not see the listing. */
export function isForMembers(listing) {
  // A visitor gets only listings that visitors may see.
  if (!session.user) return false;
  const category = categories().find((one) => one.id === listing.category.id);
  return listing.visibility === "private" || category?.visibility === "private";
}

export function picture(listing, url, alt, { isEager = false } = {}) {
  if (!url) return html`<span class="no-picture">${carIcon}</span>`;
  // The category also decides whether visitors may see the listing.
  if (session.user && !areCategoriesKnown()) return html`<span class="no-picture"></span>`;
  if (isGuarded(listing)) return html`<guarded-picture src=${url} alt=${alt}></guarded-picture>`;
  return html`<img src=${url} alt=${alt} loading=${isEager ? "eager" : "lazy"} decoding="async" />`;
}
