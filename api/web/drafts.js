// What people type and have not sent. It survives leaving the page, a reload, a crash, and a session that ends.
//
// Drafts are in the browser's storage, under the id of their user: nobody sees those of another. They stay after a
// log-out, because a session may end by itself, and end when their text is sent or removed, or after a month.

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
