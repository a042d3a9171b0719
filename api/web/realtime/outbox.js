// Messages that wait for the server's answer. They are shown at once.
//
// The private chat client sends them, and gives up a message that would block the others. A message leaves the outbox
// only when it has an id, or when the server refused it and the user was told.

import { forgetMessage, isKept, keepMessage, keptMessages, onKeptElsewhere } from "./kept_messages.js";
import { newRef, sendable } from "../../../clients/javascript/private_chat/index.js";

/** What has waited longer is sent only when its writer says so. */
const STALE_MS = 24 * 3_600_000;
/** What a person who takes no requests answers to messages that are not about a car of theirs. */
const ONLY_ABOUT_LISTINGS = "only about listings";

export class Outbox {
  /** {client_ref, to, message, listing_id, pictures, at, isRefused, reason, id} */
  pending = [];
  #chat = null;
  #userId = "";
  /** By the ids of users who get no messages of this one: the server's reason. */
  #hopeless = new Map();

  /**
   * `sent(pending, {id, inserted_at})` and `changed()` are called when the state of a message changes, and
   * `refused(pending, reason)` when the server has refused one.
   */
  constructor({ sent, changed, refused = () => {} }) {
    this.sent = sent;
    this.changed = changed;
    this.refused = refused;
    onKeptElsewhere(() => this.#dropElsewhere());
  }

  /** `chat` is a PrivateChat of the user with this id. Sends what waited when the page was closed. */
  open(chat, userId = "") {
    this.#chat = chat;
    this.#userId = userId;
    this.pending = keptMessages(userId);
    const oldest = Date.now() - STALE_MS;
    for (const one of [...this.pending]) {
      if (one.at > oldest) this.#send(one);
      else Object.assign(one, { isRefused: true, reason: "There was no connection for a day." });
    }
  }

  /**
   * Forgets everything, because another person may log in; what waits stays kept for this one. The chat keeps sending
   * until it is left.
   */
  close() {
    this.pending = [];
    this.#chat = null;
    this.#hopeless.clear();
  }

  /**
   * True if a message to this person was refused as every other would be: the person has blocked this user, or left; or
   * every other that is not about a car of theirs.
   */
  isHopeless(userId, isAboutListing = false) {
    const reason = this.#hopeless.get(userId);
    return reason !== undefined && !(isAboutListing && reason === ONLY_ABOUT_LISTINGS);
  }

  /** True if this person takes messages only about their cars. */
  isOnlyAboutListings(userId) {
    return this.#hopeless.get(userId) === ONLY_ABOUT_LISTINGS;
  }

  /** `pictures` are uploaded already, in the form of a message's payload. */
  add(to, message, listingId = null, pictures = undefined) {
    const one = { to, message, listing_id: listingId, client_ref: newRef(), at: Date.now() };
    if (pictures?.length) one.pictures = pictures;
    this.pending.push(one);
    keepMessage(this.#userId, one);
    this.#send(one);
    return one;
  }

  discard(one) {
    this.#remove(one);
    this.changed();
  }

  #remove(one) {
    this.pending = this.pending.filter((other) => other !== one);
    forgetMessage(this.#userId, one);
  }

  /** What was refused here may have been sent or discarded in another tab. */
  #dropElsewhere() {
    if (!this.#chat) return;
    const stays = this.pending.filter((one) => !one.isRefused || isKept(this.#userId, one));
    if (stays.length === this.pending.length) return;
    this.pending = stays;
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
    return this.#chat?.isUnderWay(one.client_ref) ? "sending" : "waiting";
  }

  /** A message of this user came back as a broadcast, perhaps before the answer to its push: show it once. */
  seen(message) {
    const one = this.pending.find((other) => !other.id && this.state(other) === "sending" && isSame(other, message));
    if (one) one.id = message.id;
  }

  async #send(one) {
    let answer;
    try {
      const payload = sendable({ ...one, pictures: one.pictures?.map(({ id }) => id) });
      // Keep the text as the server will store it, so that its broadcast is recognized.
      one.message = payload.message;
      const sending = this.#chat.send(payload);
      this.changed();
      answer = await sending;
    } catch (refused) {
      one.isRefused = true;
      if (["blocked", "user not found", ONLY_ABOUT_LISTINGS].includes(refused.reason)) this.#hopeless.set(one.to, refused.reason);
      one.reason = explain(refused);
      this.refused(one, refused.reason);
      // A message with an id was stored: its broadcast came, although its answer did not.
      if (one.id) this.discard(one);
      else this.changed();
      return;
    }
    if (!this.pending.includes(one)) return;
    this.#remove(one);
    this.#hopeless.delete(one.to);
    this.sent(one, answer);
  }
}

function isSame(one, message) {
  const idsOf = ({ pictures = [] }) => pictures.map(({ id }) => id).join();
  return one.to === message.to && one.message === message.message && idsOf(one) === idsOf(message);
}

function explain({ reason, errors }) {
  if (reason === "blocked") return "This person does not want messages from you.";
  if (reason === "you blocked this person") return "You have blocked this person.";
  if (reason === ONLY_ABOUT_LISTINGS) return "This person takes messages only about their cars. Write from the page of one.";
  if (reason === "not confirmed") return "Confirm your e-mail address first: your account's page sends the mail again.";
  if (reason === "too many new people") return "You have written to as many new people as a new account may in a day.";
  if (reason === "user not found") return "This person has left Daveslist.";
  if (reason === "could not be sent") return "This message could not be sent.";
  return Object.values(errors ?? {}).flat().join(" ") || "The message was refused.";
}
