// Tells a swipe from a press and from scrolling. Pure.

/** A finger that moved less than this many pixels has pressed. */
const LEAST = 40;

/** Returns 1 for a swipe to the left, which shows what is behind, -1 for one to the right, and 0 for anything else. */
export function directionOf(from, to) {
  const [across, down] = [to.x - from.x, to.y - from.y];
  if (Math.abs(across) < LEAST || Math.abs(across) < 2 * Math.abs(down)) return 0;
  return across < 0 ? 1 : -1;
}
