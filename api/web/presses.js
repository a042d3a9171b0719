// One press makes one thing, also if its answer is lost: the API makes one thing for each key (Idempotency-Key).
//
// The page repeats a request without an answer by itself. If that fails too, the key is kept in this browser, as the draft
// is: when the person presses the button again with the same content, also in another tab, it is the same request.

import { Problem } from "./problem.js";

const STORE = "daveslist.presses";
const PAUSES_MS = [500, 1_500, 4_000];
/** The API forgets a key after a day. A key is given up earlier, so that a late press is surely a new one. */
const KEPT_MS = 12 * 3_600_000;
/** With these statuses, and without one, nobody knows whether an earlier request was carried out. */
const UNSURE = [0, 401, 429];

/**
 * Returns what `send(key)` resolves with. Sends again, with the same key, if there was no answer. `content` tells two
 * presses apart; it is not stored.
 */
export async function once(content, send) {
  const name = hash(content);
  const key = keyOf(name);
  for (let tries = 0; ; tries += 1) {
    try {
      const made = await send(key);
      forget(name);
      return made;
    } catch (error) {
      const { status, type } = Problem.of(error);
      const isUnderWay = type === "idempotency-key-in-use";
      if ((type === "unreachable" || isUnderWay) && tries < PAUSES_MS.length) {
        await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[tries]));
        continue;
      }
      if (!isUnderWay && !UNSURE.includes(status) && status < 500) forget(name);
      throw error;
    }
  }
}

function keyOf(name) {
  const keys = read();
  keys[name] ??= { key: newKey(), since: Date.now() };
  write(keys);
  return keys[name].key;
}

function forget(name) {
  const keys = read();
  delete keys[name];
  write(keys);
}

function read() {
  let keys = {};
  try {
    keys = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    // Something else wrote there, or the browser has no storage.
  }
  const oldest = Date.now() - KEPT_MS;
  return Object.fromEntries(Object.entries(keys).filter(([, { since }]) => since > oldest));
}

function write(keys) {
  try {
    localStorage.setItem(STORE, JSON.stringify(keys));
  } catch {
    // Without storage, a key is kept only while the page repeats by itself.
  }
}

/** Returns a random UUID. Browsers have randomUUID only for pages from HTTPS or localhost. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns a short name of a text (FNV-1a, twice). */
export function hash(text) {
  let [one, two] = [0x811c9dc5, 0x01000193];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    one = Math.imul(one ^ code, 0x01000193);
    two = Math.imul(two ^ (code + index), 0x85ebca6b);
  }
  return `${(one >>> 0).toString(36)}-${(two >>> 0).toString(36)}`;
}
