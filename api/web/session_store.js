// Stores the session for all tabs, in two places, because neither is enough alone:
//
// localStorage can be read at once when a page starts, and tells other tabs about changes. But it may be stale for a
// moment in a tab that runs in another process. IndexedDB is never stale, but it is asynchronous. It prevents two tabs
// from using the same refresh token, which would end the session.

import { indexedStore } from "./indexed_store.js";

const KEY = "daveslist.session";
const DEVICE_KEY = "daveslist.device";
const transaction = indexedStore("daveslist", "session");

/** The session, if localStorage refused it: the person stays logged in until the page is left. */
let refused = null;

/** Returns the session in localStorage, or else the one that it refused; null for a visitor. */
export function readAtOnce() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? refused;
  } catch {
    return refused;
  }
}

/** Resolves with the session as the last tab wrote it, or null. Call this only while no other tab can write. */
export async function readForSure() {
  try {
    return (await transaction("readonly", (store) => store.get(KEY))) ?? readAtOnce();
  } catch {
    // Some browsers have no storage in private windows.
    return readAtOnce();
  }
}

/** Writes the session: to localStorage before it returns, to IndexedDB before the promise resolves. */
export async function write(session) {
  refused = null;
  try {
    if (session) localStorage.setItem(KEY, JSON.stringify(session));
    else localStorage.removeItem(KEY);
  } catch {
    // Some browsers have no storage, or no room in it.
    refused = session;
  }
  try {
    await transaction("readwrite", (store) => (session ? store.put(session, KEY) : store.delete(KEY)));
  } catch {
    // Some browsers have no storage in private windows.
  }
}

/** Returns the device id of the last log-in in this browser, for the next one; undefined if there is none. It outlives log-outs. */
export function readDeviceId() {
  try {
    return localStorage.getItem(DEVICE_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

export function writeDeviceId(deviceId) {
  try {
    localStorage.setItem(DEVICE_KEY, deviceId);
  } catch {
    // Without storage, the next log-in looks like one on another device.
  }
}

/** `listener(session)` is called when another tab has written the session. */
export function onWrittenElsewhere(listener) {
  window.addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) listener(readAtOnce());
  });
}
