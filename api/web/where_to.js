// Reads from a link where the page goes next. Anybody can write a link, so nothing in it is trusted.

/** After a log-in nobody wants to log in, or to see what is for programs. */
const ENDLESS = /^\/(?:login|register|api|web|health|metrics|socket)(?:\/|$)/i;

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
  const isOwn = url.origin === location.origin && /^\/(?![/\\])/.test(path);
  return isOwn && !ENDLESS.test(url.pathname) ? path : "/";
}

/** Returns the query of a link to the log-in from which one comes back here. */
export function andBack() {
  const next = whereTo(new URLSearchParams({ next: location.pathname + location.search }));
  return next === "/" ? "" : `?${new URLSearchParams({ next })}`;
}

/** Returns the id in the address's query: digits, without a zero in front, or null. Other text could lead to another route of the API. */
export function idIn(query, name) {
  const text = query.get(name) ?? "";
  return /^[1-9]\d{0,18}$/.test(text) ? text : null;
}
