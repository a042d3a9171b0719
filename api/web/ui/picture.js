// A picture of a listing, or what stands in for one; fetched by the browser itself where anyone may see it.

import { html } from "../vendor/lit-html/lit-html.js";
import { areCategoriesKnown, categories } from "../categories.js";
import { session } from "../session.js";
import { carIcon } from "./icons.js";

/** Whether an <img>, which sends no token, would be refused. */
function isGuarded(listing) {
  return Boolean(listing.hidden) || isForMembers(listing);
}

/** Whether visitors do not see it. */
export function isForMembers(listing) {
  const category = categories().find((one) => one.id === listing.category.id);
  return listing.visibility === "private" || category?.visibility === "private";
}

export function picture(listing, url, alt, { isEager = false } = {}) {
  if (!url) return html`<span class="no-picture">${carIcon}</span>`;
  // Whether visitors see a listing depends on its category; to them, those that they see are all alike.
  if (session.user && !areCategoriesKnown()) return html`<span class="no-picture"></span>`;
  if (isGuarded(listing)) return html`<guarded-picture src=${url} alt=${alt}></guarded-picture>`;
  return html`<img src=${url} alt=${alt} loading=${isEager ? "eager" : "lazy"} decoding="async" />`;
}
