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
  const version = await ask();
  if (version !== null && version !== OWN) itIsThere();
}

/**
 * To be called when a file of this page cannot be loaded. Resolves with whether the server answers. Then it has another
 * version, whatever it says: during an upgrade, the page and its script may be of two versions.
 */
export async function missesAFile() {
  if ((await ask()) === null) return false;
  itIsThere();
  return true;
}

function itIsThere() {
  isThere = true;
  update();
}

/** Resolves with the version of the server; null if it cannot be reached. */
async function ask() {
  try {
    const response = await fetch("/web/version", { cache: "no-store" });
    return response.ok ? (await response.json()).version : null;
  } catch {
    return null;
  }
}
