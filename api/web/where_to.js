// Reads from a link where the page goes next. Anybody can write a link, so nothing in it is trusted.

/** Returns the address to go back to after a log-in: one of this page, never of another site. */
export function whereTo(query) {
  let url;
  try {
    url = new URL(query.get("next") ?? "/", location.origin);
  } catch {
    return "/";
  }
  const path = url.pathname + url.search;
  // A path such as `//example.com` would be another site's address.
  return url.origin === location.origin && /^\/(?![/\\])/.test(path) ? path : "/";
}

/** Returns the id in the address's query: digits, or null. Other text could lead to another route of the API. */
export function idIn(query, name) {
  const text = query.get(name) ?? "";
  return /^\d{1,19}$/.test(text) ? text : null;
}
