// What people type and have not sent. It survives leaving the page, a reload, a crash, and a session that ends.
//
// Drafts are in the browser's storage, under the id of their user: nobody sees those of another. They stay after a
// log-out, because a session may end by itself, and end when their text is sent or removed, or after a month. What a
// visitor types stays in the tab, because nobody knows who uses the browser next.

import { indexedStore } from "./indexed_store.js";
import { session } from "./session.js";

const KEY = "daveslist.drafts";
const KEPT_MS = 30 * 24 * 3_600_000;

/** Returns the draft of this name, of the user who is logged in, or of the visitor in this tab; "" if there is none. */
export function draftOf(name) {
  return read()[nameOf(name)]?.text ?? "";
}

/** Stores what has been typed; an empty text removes the draft. */
export function keepDraft(name, text) {
  const drafts = read();
  if (text.trim()) drafts[nameOf(name)] = { text, at: Date.now() };
  else delete drafts[nameOf(name)];
  try {
    storage().setItem(KEY, JSON.stringify(drafts));
  } catch {
    // Without storage, or without room in it, a text lasts as long as the page.
  }
}

const nameOf = (name) => `${session.user?.id ?? "visitor"} ${name}`;

/** Throws in a browser that refuses to store anything. */
const storage = () => (session.user ? localStorage : sessionStorage);

function read() {
  let drafts = {};
  try {
    drafts = JSON.parse(storage().getItem(KEY)) ?? {};
  } catch {
    // Something else wrote there, or the browser has no storage.
  }
  const oldest = Date.now() - KEPT_MS;
  return Object.fromEntries(Object.entries(drafts).filter(([, { at }]) => at > oldest));
}

const transaction = indexedStore("daveslist.drafts", "files");

// Their bytes are stored, because private windows of WebKit store no files, and Firefox does not send one that was stored.

/** Resolves with the files of this name that were chosen and not uploaded, of the user who is logged in. */
export async function filesOf(name) {
  if (!session.user) return [];
  try {
    const kept = (await transaction("readonly", (store) => store.get(nameOf(name)))) ?? [];
    // Earlier versions stored files.
    return kept.map((one) => (one instanceof File ? one : new File([one.bytes], one.name, one)));
  } catch {
    // The browser has no storage.
    return [];
  }
}

/** What was to be stored first is stored first. */
let storing = Promise.resolve();

/** Stores files that were chosen; none remove the draft. Resolves when that is done, or cannot be done. */
export async function keepFiles(name, files) {
  if (!session.user) return;
  const key = nameOf(name);
  storing = storing.then(() => store(key, files));
  await storing;
}

/** Gives the files of one name to another: after a crash they are under one of the two. Resolves as keepFiles does. */
export async function renameFiles(name, newName) {
  if (!session.user) return;
  const [from, to] = [nameOf(name), nameOf(newName)];
  storing = storing.then(() => rename(from, to));
  await storing;
}

async function rename(from, to) {
  try {
    await transaction("readwrite", (place) => {
      const reading = place.get(from);
      reading.onsuccess = () => {
        if (reading.result) place.put(reading.result, to);
        place.delete(from);
      };
      return reading;
    });
  } catch {
    // Without storage, there is nothing to rename.
  }
}

async function store(key, files) {
  try {
    const kept = await Promise.all(files.map(withBytes));
    await transaction("readwrite", (place) => (kept.length ? place.put(kept, key) : place.delete(key)));
  } catch {
    // Without storage, or without room in it, they last as long as the page.
  }
}

async function withBytes(file) {
  const { name, type, lastModified } = file;
  return { name, type, lastModified, bytes: await file.arrayBuffer() };
}
