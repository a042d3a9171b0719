// Messages on their way: shown at once, sent when there is a connection, sent again until the server has answered.
//
// Each has a client_ref, under which the server stores it once however often it comes. A message leaves the outbox only
// when it has an id, or when the server refused it and the user was told.

const TRY_AGAIN_MS = 2_000;
const PASSING = ["too many requests", "try again"];

export class Outbox {
  /** {client_ref, to, message, listing_id, at, state: "sending", "waiting" or "refused", reason, id} */
  pending = [];
  #channel = null;
  #timer = null;

  /** `sent(pending, {id, inserted_at})` and `changed()` are called when something became of a message. */
  constructor({ sent, changed }) {
    this.sent = sent;
    this.changed = changed;
  }

  /** The channel was joined, for the first time or again: what is waiting goes out, in order. */
  joined(channel) {
    this.#channel = channel;
    this.flush(true);
  }

  /** The connection is gone; whether what was under way arrived, the next attempt will tell. */
  lost() {
    this.#channel = null;
    for (const one of this.pending) if (one.state === "sending") one.state = "waiting";
  }

  close() {
    clearTimeout(this.#timer);
    this.pending = [];
    this.lost();
  }

  add(to, message, listingId = null) {
    const one = { client_ref: newRef(), to, message, listing_id: listingId, at: new Date().toISOString(), state: "waiting" };
    this.pending.push(one);
    this.flush();
    return one;
  }

  discard(one) {
    this.pending = this.pending.filter((other) => other !== one);
    this.changed();
  }

  again(one) {
    one.state = "waiting";
    this.flush();
  }

  to(userId) {
    return this.pending.filter((one) => one.to === userId && !one.id);
  }

  /** A message of mine came back as a broadcast, perhaps before the answer to its sending: it is not shown twice. */
  seen(message) {
    const one = this.pending.find((other) => !other.id && other.state === "sending" && isSame(other, message));
    if (one) one.id = message.id;
  }

  flush() {
    for (const one of this.pending) if (one.state === "waiting" && this.#channel) this.#send(one);
    this.changed();
  }

  #send(one) {
    one.state = "sending";
    const channel = this.#channel;
    const payload = { to: one.to, message: one.message, client_ref: one.client_ref };
    if (one.listing_id) payload.listing_id = one.listing_id;
    channel
      .push("send", payload)
      .receive("ok", (answer) => {
        this.pending = this.pending.filter((other) => other !== one);
        this.sent(one, answer);
      })
      .receive("error", ({ reason, errors }) => {
        if (PASSING.includes(reason)) return this.#later(one);
        one.state = "refused";
        one.reason = explain(reason, errors);
        return this.changed();
      })
      .receive("timeout", () => channel === this.#channel && this.#later(one));
  }

  #later(one) {
    one.state = "waiting";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), TRY_AGAIN_MS);
    this.changed();
  }
}

function isSame(one, message) {
  return one.to === message.to && one.message === message.message;
}

function explain(reason, errors) {
  if (reason === "blocked") return "This person does not want messages from you.";
  if (reason === "user not found") return "This person has left Daveslist.";
  return Object.values(errors ?? {}).flat().join(" ") || "The message was refused.";
}

/** Unique for ever, also where crypto.randomUUID is missing because the page came over plain HTTP. */
function newRef() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
