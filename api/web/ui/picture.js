// A picture of a listing, or a placeholder. The browser itself fetches pictures that anyone may see.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
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

/** How wide a picture is shown there, as `sizes` of an image: api/pages/srcset.py has the same. */
export const IN_LIST = "(max-width: 30rem) 8rem, 20rem";
export const IN_GALLERY = "(max-width: 60rem) and (min-resolution: 2.5dppx) 55vw, (max-width: 60rem) calc(100vw - 2rem), 43rem";

/** Returns `srcset` of a picture; "" if there is only one size. Several may be equally wide: then the first is enough. */
function srcset({ url, width, sizes = [] }) {
  if (!sizes.length) return "";
  const addresses = new Map([...sizes, { url, width }].reverse().map((one) => [one.width, one.url]));
  return [...addresses]
    .reverse()
    .map(([wide, address]) => `${address} ${wide}w`)
    .join(", ");
}

/**
 * `shown` is how wide it is shown, if a browser is to choose one of its sizes; `address` is what others take. The first
 * picture of a page is asked for at once, and the others when they come into sight.
 */
export function picture(listing, one, alt, { shown = "", address = one?.thumbnail_url, isFirst = false } = {}) {
  if (!one) return html`<span class="no-picture">${carIcon}</span>`;
  // The category also decides whether visitors may see the listing.
  if (session.user && !listing.hidden && !areCategoriesKnown()) return html`<span class="no-picture"></span>`;
  const choices = (shown && srcset(one)) || nothing;
  // `src` comes last: what is set before it is known when the address is asked for.
  if (isGuarded(listing)) return html`<guarded-picture srcset=${choices} alt=${alt} src=${address}></guarded-picture>`;
  return html`<img
    srcset=${choices}
    sizes=${choices === nothing ? nothing : shown}
    alt=${alt}
    width=${one.width}
    height=${one.height}
    loading=${isFirst ? "eager" : "lazy"}
    fetchpriority=${isFirst ? "high" : nothing}
    decoding="async"
    src=${address}
  />`;
}
