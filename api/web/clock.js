// The server's clock. Times on the page are told by it, because the clocks of computers and phones are often wrong.

/** Below this, the clocks count as equal: the server tells whole seconds, and an answer takes a while. */
const EQUAL_MS = 3_000;

/** By how much the server's clock is ahead of this browser's. */
let ahead = 0;

/** Returns the server's time, in ms since 1970. */
export const now = () => Date.now() + ahead;

/** Learns from an answer to a request that was sent at `sentAt`, by this browser's clock, and has just come. */
export function learn(response, sentAt) {
  // The header tells the second that has begun.
  compare(Date.parse(response.headers.get("Date")) + 500, (sentAt + Date.now()) / 2);
}

function compare(theirs, ours) {
  const difference = theirs - ours;
  if (Number.isFinite(difference)) ahead = Math.abs(difference) < EQUAL_MS ? 0 : difference;
}

/** The answer that brought this page tells it too, unless it came from the browser's cache. */
const [page] = performance.getEntriesByType("navigation");
const told = page?.serverTiming?.find(({ name }) => name === "now");
if (told && page.transferSize > 0) compare(Number(told.description), Date.now() - (performance.now() - page.responseStart));
