// What people type and have not sent. It survives leaving the page, a reload, a crash, and a session that ends.
//
// Drafts are in the browser's storage, under the id of their user: nobody sees those of another. They stay after a
// log-out, because a session may end by itself, and end when their text is sent or removed, or after a month.

import { indexedStore } from "./indexed_store.js";
import { session } from "./session.js";

const KEY = "daveslist.drafts";
const KEPT_MS = 30 * 24 * 3_600_000;

/** Returns the draft of this name, of the user who is logged in; "" if there is none. */
export function draftOf(name) {
  return (session.user && read()[nameOf(name)]?.text) || "";
}

/** Stores what has been typed; an empty text removes the draft. */
export function keepDraft(name, text) {
  if (!session.user) return;
  const drafts = read();
  if (text.trim()) drafts[nameOf(name)] = { text, at: Date.now() };
  else delete drafts[nameOf(name)];
  try {
    localStorage.setItem(KEY, JSON.stringify(drafts));
  } catch {
    // Without storage, or without room in it, a text lasts as long as the page.
  }
}

const nameOf = (name) => `${session.user.id} ${name}`;

function read() {
  let drafts = {};
  try {
    drafts = JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    // Something else wrote there, or the browser has no storage.
  }
  const oldest = Date.now() - KEPT_MS;
  return Object.fromEntries(Object.entries(drafts).filter(([, { at }]) => at > oldest));
}

const transaction = indexedStore("daveslist.drafts", "files");

/** Resolves with the files of this name that were chosen and not uploaded, of the user who is logged in. */
export async function filesOf(name) {
  if (!session.user) return [];
  try {
    return (await transaction("readonly", (store) => store.get(nameOf(name)))) ?? [];
  } catch {
    // Some browsers have no storage in private windows.
    return [];
  }
}

/** Stores files that were chosen; none remove the draft. */
export async function keepFiles(name, files) {
  if (!session.user) return;
  const key = nameOf(name);
  try {
    await transaction("readwrite", (store) => (files.length ? store.put(files, key) : store.delete(key)));
  } catch {
    // Without storage, or without room in it, they last as long as the page.
  }
}
