// Reads from a link where the page goes next. Anybody can write a link, so nothing in it is trusted.

/** After a log-in nobody wants to log in, or to see what is for programs. */
const ENDLESS = /^\/(?:login|register|api|web|health|metrics|socket)(?:\/|$)/i;

/** A path. Browsers take a backslash for a slash, `//example.com` for another site, and leave out tabs and ends of lines. */
const OWN = /^\/(?![/\\])[^\t\n\r]*$/;

/** Returns the address to go back to after a log-in: one of this page, never of another site. */
export function whereTo(query) {
  const given = query.get("next") ?? "";
  if (!OWN.test(given)) return "/";
  const url = new URL(given, location.origin);
  const path = url.pathname + url.search;
  return OWN.test(path) && !ENDLESS.test(url.pathname) ? path : "/";
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
