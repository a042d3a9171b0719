// Notices that the site was upgraded while this page was open: the page then offers to load the new version, and loads it
// by itself when its person goes to another address.

import { update } from "./page.js";

/** Asked at most this often. */
const ASKED_EVERY_MS = 60_000;

const OWN = document.querySelector('meta[name="version"]')?.content;

let isThere = false;
let askedAt = Date.now();

/** Whether the server has another version of the page than this one. */
export const isUpgraded = () => isThere;

/** Asks the server for its version, if that was not done just now. */
export async function lookForUpgrade() {
  if (isThere || !OWN || Date.now() - askedAt < ASKED_EVERY_MS) return;
  askedAt = Date.now();
  try {
    const response = await fetch("/web/version", { cache: "no-store" });
    if (!response.ok) return;
    const { version } = await response.json();
    isThere = version !== OWN;
    if (isThere) update();
  } catch {
    // The server cannot be reached. It is asked again later.
  }
}
