// Messages that wait for the server's answer, kept until they have one: over a reload, a crash, and in another tab when theirs
// was closed. Each is kept with the reference by which the server knows it: sent by two tabs, it is one message.

const STORE = "daveslist.outbox";
/** Drafts are kept as long. */
const KEPT_MS = 30 * 24 * 3_600_000;

/** Returns the messages of this user, [{client_ref, to, message, listing_id, pictures, at}], oldest first. */
export function keptMessages(userId) {
  const oldest = Date.now() - KEPT_MS;
  return Object.values(read()[userId] ?? {})
    .filter(({ at }) => at > oldest)
    .sort((one, other) => one.at - other.at);
}

/** Keeps a message of this user, written at the time `at`. */
export function keepMessage(userId, { client_ref, to, message, listing_id, pictures, at }) {
  const all = read();
  all[userId] = { ...all[userId], [client_ref]: { client_ref, to, message, listing_id, pictures, at } };
  write(all);
}

export function forgetMessage(userId, { client_ref }) {
  const all = read();
  if (!all[userId]?.[client_ref]) return;
  delete all[userId][client_ref];
  write(all);
}

/** Returns whether a message of this user waits still: another tab may have sent or discarded it. */
export const isKept = (userId, { client_ref }) => client_ref in (read()[userId] ?? {});

/** `listener()` is called when another tab has kept or forgotten something. */
export function onKeptElsewhere(listener) {
  globalThis.addEventListener?.("storage", ({ key }) => key === STORE && listener());
}

function write(all) {
  try {
    localStorage.setItem(STORE, JSON.stringify(all));
  } catch {
    // Without storage, or without room in it, a message waits as long as the page is open.
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}
