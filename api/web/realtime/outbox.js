// Messages on their way: shown at once, sent when there is a connection, until the server has answered.
//
// How they are sent, and when one is given up so that it does not stop the others, `outgoing` knows (Outgoing of
// private_chat.js). A message leaves the outbox only when it has an id, or when the server refused it and the user was told.

export class Outbox {
  /** {client_ref, to, message, listing_id, at, isRefused, reason, id} */
  pending = [];
  #outgoing;
  #prepare;

  /**
   * `prepare(message)` is `sendable` of private_chat.js. `sent(pending, {id, inserted_at})` and `changed()` are called
   * when something became of a message.
   */
  constructor({ outgoing, prepare, sent, changed }) {
    this.#outgoing = outgoing;
    this.#prepare = prepare;
    this.sent = sent;
    this.changed = changed;
  }

  /** Nothing is sent any more, and nothing of one person is left for the next. */
  close() {
    this.pending = [];
    this.#outgoing.lost();
    this.#outgoing.withdraw(this);
  }

  add(to, message, listingId = null) {
    const one = { to, message, listing_id: listingId, at: new Date().toISOString() };
    one.client_ref = newRef();
    this.pending.push(one);
    this.#send(one);
    return one;
  }

  discard(one) {
    this.pending = this.pending.filter((other) => other !== one);
    this.changed();
  }

  again(one) {
    one.isRefused = false;
    this.#send(one);
  }

  to(userId) {
    return this.pending.filter((one) => one.to === userId && !one.id);
  }

  /** "sending", "waiting" or "refused". */
  state(one) {
    if (one.isRefused) return "refused";
    return this.#outgoing.isUnderWay(one.client_ref) ? "sending" : "waiting";
  }

  /** A message of mine came back as a broadcast, perhaps before the answer to its sending: it is not shown twice. */
  seen(message) {
    const one = this.pending.find((other) => !other.id && this.state(other) === "sending" && isSame(other, message));
    if (one) one.id = message.id;
  }

  async #send(one) {
    let answer;
    try {
      const payload = this.#prepare(one);
      // As it will be stored, so that its broadcast is recognized.
      one.message = payload.message;
      const sending = this.#outgoing.send(payload, this);
      this.changed();
      answer = await sending;
    } catch (refused) {
      one.isRefused = true;
      one.reason = explain(refused);
      // One with an id did arrive, though its answer never did.
      if (one.id) this.discard(one);
      else this.changed();
      return;
    }
    if (!this.pending.includes(one)) return;
    this.pending = this.pending.filter((other) => other !== one);
    this.sent(one, answer);
  }
}

function isSame(one, message) {
  return one.to === message.to && one.message === message.message;
}

function explain({ reason, errors }) {
  if (reason === "blocked") return "This person does not want messages from you.";
  if (reason === "user not found") return "This person has left Daveslist.";
  if (reason === "could not be sent") return "This message could not be sent.";
  return Object.values(errors ?? {}).flat().join(" ") || "The message was refused.";
}

/** Unique for ever, also where crypto.randomUUID is missing because the page came over plain HTTP. */
function newRef() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
