// The token behind the # of a link from a mail. No browser sends it to a server by itself.

/**
 * Returns the token, and takes it out of the address, so that nobody reads it there or in the history. The page gets it
 * again after a reload, and when somebody comes back to it.
 */
export function takeLinkToken() {
  const token = location.hash.slice(1);
  if (token) history.replaceState({ ...history.state, token }, "", location.pathname + location.search);
  return history.state?.token ?? "";
}
