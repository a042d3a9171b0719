// Messages that wait for the server's answer, kept over a reload or a crash of this tab. Each is kept with the reference by
// which the server knows it: sent twice, it is one message.

const STORE = "daveslist.outbox";

/** Returns the messages of this user, [{client_ref, to, message, listing_id, pictures}], oldest first. */
export function keptMessages(userId) {
  return read()[userId] ?? [];
}

/** Keeps these messages of this user instead of those from before. */
export function keepMessages(userId, messages) {
  const all = read();
  delete all[userId];
  if (messages.length) {
    all[userId] = messages.map(({ client_ref, to, message, listing_id, pictures }) => ({
      client_ref,
      to,
      message,
      listing_id,
      pictures,
    }));
  }
  try {
    sessionStorage.setItem(STORE, JSON.stringify(all));
  } catch {
    // Without storage, or without room in it, a message waits as long as the page is open.
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}
