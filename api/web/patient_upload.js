// Uploads a picture: made smaller if the server would refuse it, and again while the server has no place for it.

import { limits } from "./limits.js";
import { Problem } from "./problem.js";
import { isTooLarge, smaller } from "./shrink.js";

const BUSY_TRIES = 4;

/**
 * `image` is the file as an element, or null if this browser cannot show it. `send(file)` uploads the file, or a smaller one.
 * Resolves with the server's answer. Throws Problem.
 */
export async function uploadPatiently(file, image, send) {
  const sent = await fitting(file, image);
  for (let tries = 1; ; tries += 1) {
    try {
      return await send(sent);
    } catch (error) {
      // The server has no place for it now, and says when to ask again.
      if (![429, 503].includes(error.status) || !error.retryAfter || tries === BUSY_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfter * 1000));
    }
  }
}

/** Resolves with the file, or with a smaller one if the server would refuse it. */
async function fitting(file, image) {
  if (image === null || !isTooLarge(file, image)) return file;
  const made = await smaller(file, image);
  if (made || file.size <= limits.picture_bytes) return made ?? file;
  throw new Problem({ status: 413, title: "It is too large, and this browser has no memory to make it smaller." });
}
