// All conversations of the user: who, the last message, what is unread, who is typing; live, and complete after a gap.
//
// The greatest message id that was seen is where the next join catches up from. Counts of unread messages are the
// server's: they are asked for again whenever more than one message may have been missed.

import { api } from "../api.js";
import { announce } from "../ui/announcer.js";
import { connection } from "./connection.js";
import { Outbox } from "./outbox.js";
import { Outgoing, sendable } from "./private_chat.js";
import { Thread } from "./thread.js";

const TYPING_SHOWN_MS = 5_000;
const TYPING_TOLD_EVERY_MS = 2_500;
const LOAD_AGAIN_MS = 3_000;

class Inbox {
  /** By the other user's id, as a string: {user, last_message, unread_count}. */
  conversations = new Map();
  isLoaded = false;
  #outgoing = new Outgoing({
    isAlive: () => connection.isAlive(),
    rejoin: () => this.#rejoin(),
    changed: () => this.#tell(),
  });
  outbox = new Outbox({
    outgoing: this.#outgoing,
    prepare: sendable,
    sent: (one, answer) => this.#sent(one, answer),
    changed: () => this.#tell(),
  });
  #me = "";
  #channel = null;
  #threads = new Map();
  #typing = new Map();
  #toldTypingAt = 0;
  /** The greatest id seen; null until the first look, from when on nothing may be missed. */
  #lastId = null;
  /** Whether messages are missing that are being read: what arrives live meanwhile lies behind the gap. */
  #isBehind = false;
  #liveId = 0;
  #loading = null;
  #isStale = false;
  /** Whether the join had nothing to catch up from. */
  #isFirstLook = false;
  /** Whether messages may have come between the reading of a thread and that join. */
  #threadsAreStale = false;
  #listeners = [];

  constructor() {
    connection.onBreak((how) => this.#outgoing.broke(how));
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  open(userId) {
    this.#me = String(userId);
    this.#join();
  }

  #join() {
    const { channel, joining } = connection.join(`private_chat:${this.#me}`, () => {
      this.#isFirstLook = this.#lastId === null;
      return this.#isFirstLook ? {} : { after_id: this.#lastId };
    });
    this.#channel = channel;
    joining.receive("ok", (answer) => this.#joined(channel, answer));
    channel.onError((reason) => {
      if (channel !== this.#channel) return;
      this.#outgoing.lost();
      // The channel crashed on the server, perhaps over a message; the connection stands.
      if (reason?.source !== "transport") this.#outgoing.broke({ mayBeOurs: true });
    });
    channel.onClose(() => setTimeout(() => channel === this.#channel && this.#rejoin(), LOAD_AGAIN_MS));
    channel.on("send", (message) => this.#received(message, true));
    channel.on("read", ({ by, with: other, up_to }) => this.#read(by, other, up_to));
    channel.on("typing", ({ from }) => this.#isTyping(from));
  }

  /** A channel joins once: to join again takes another one. */
  #rejoin() {
    const channel = this.#channel;
    if (!channel) return;
    this.#outgoing.lost();
    this.#channel = null;
    channel.leave();
    this.#join();
  }

  close() {
    this.#channel = null;
    this.outbox.close();
    this.conversations = new Map();
    this.isLoaded = false;
    this.#threads.clear();
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#lastId = null;
    this.#isBehind = false;
    this.#threadsAreStale = false;
    this.#loading = null;
  }

  get me() {
    return this.#me;
  }

  /** Latest first. */
  get list() {
    return [...this.conversations.values()].sort((a, b) => b.last_message.id - a.last_message.id);
  }

  get unread() {
    return this.list.reduce((sum, one) => sum + one.unread_count, 0);
  }

  thread(userId) {
    let thread = this.#threads.get(userId);
    if (!thread) {
      thread = new Thread(userId);
      this.#threads.set(userId, thread);
    }
    return thread;
  }

  send(to, message, listingId) {
    this.#toldTypingAt = 0;
    this.outbox.add(to, message, listingId);
  }

  /** I am writing to that person; told now and then. */
  typing(to) {
    if (!connection.isLive || Date.now() - this.#toldTypingAt < TYPING_TOLD_EVERY_MS) return;
    this.#toldTypingAt = Date.now();
    this.#channel?.push("typing", { to });
  }

  isTyping(userId) {
    return this.#typing.has(userId);
  }

  /** What that person wrote to me has been seen. */
  markRead(userId) {
    const upTo = this.#threads.get(userId)?.newestUnread(this.#me);
    if (!upTo || !connection.isLive) return;
    this.#read(this.#me, userId, upTo);
    this.#channel.push("read", { with: userId, up_to: upTo });
  }

  /** Again, or for the first time. While an answer is under way, something may have come that it does not know of. */
  load() {
    this.#isStale = true;
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load() {
    const channel = this.#channel;
    try {
      while (this.#isStale && channel === this.#channel) {
        this.#isStale = false;
        if (this.#threadsAreStale) await Promise.all([...this.#threads.values()].map((thread) => thread.loadNewest()));
        this.#threadsAreStale = false;
        const found = await readAll("/api/conversations");
        if (this.#isStale || channel !== this.#channel) continue;
        this.conversations = new Map(found.map((one) => [String(one.user.id), one]));
        if (!this.#isBehind) this.#lastId = Math.max(this.#lastId ?? 0, ...found.map((one) => one.last_message.id));
        this.isLoaded = true;
        this.#tell();
      }
    } catch {
      setTimeout(() => channel === this.#channel && this.load(), LOAD_AGAIN_MS);
    } finally {
      if (channel === this.#channel) this.#loading = null;
    }
  }

  async #joined(channel, { messages = [], complete = true }) {
    if (channel !== this.#channel) return;
    this.#outgoing.lost();
    this.#isBehind = !complete;
    this.#liveId = 0;
    for (const message of messages) this.#received(message, false);
    if (!complete) {
      let rest;
      try {
        rest = await readAll("/api/messages", { after_id: this.#lastId });
      } catch {
        setTimeout(() => this.#joined(channel, { complete: false }), LOAD_AGAIN_MS);
        return;
      }
      if (channel !== this.#channel) return;
      for (const message of rest) this.#received(message, false);
      this.#isBehind = false;
      if (this.#lastId !== null) this.#lastId = Math.max(this.#lastId, this.#liveId);
    }
    this.#outgoing.joined(channel);
    this.#threadsAreStale ||= this.#isFirstLook;
    this.load();
  }

  #received(message, isLive) {
    if (isLive && this.#isBehind) this.#liveId = Math.max(this.#liveId, message.id);
    else if (this.#lastId !== null) this.#lastId = Math.max(this.#lastId, message.id);
    const isMine = message.from === this.#me;
    const other = isMine ? message.to : message.from;
    if (isMine) this.outbox.seen(message);
    const isNew = this.#threads.get(other)?.add(message) ?? true;
    if (this.#loading) this.#isStale = true;
    const conversation = this.conversations.get(other);
    if (!conversation) {
      if (isLive) this.load();
    } else if (message.id > conversation.last_message.id) {
      conversation.last_message = message;
      if (!isMine) conversation.unread_count += 1;
      if (!isMine && isNew && isLive) announce(`${conversation.user.name}: ${message.message}`);
    }
    if (!isMine) this.#stopsTyping(other);
    this.#tell();
  }

  #sent(one, { id, inserted_at }) {
    const { to, message, listing_id } = one;
    this.#received({ id, from: this.#me, to, message, listing_id, inserted_at, read_at: null }, true);
  }

  #read(by, other, upTo) {
    const isMine = by === this.#me;
    this.#threads.get(isMine ? other : by)?.read(by, upTo, new Date().toISOString());
    const conversation = this.conversations.get(isMine ? other : by);
    if (isMine && conversation) {
      if (upTo >= conversation.last_message.id || conversation.last_message.from === this.#me) conversation.unread_count = 0;
      else this.load();
    }
    this.#tell();
  }

  #isTyping(userId) {
    clearTimeout(this.#typing.get(userId));
    this.#typing.set(userId, setTimeout(() => this.#stopsTyping(userId) || this.#tell(), TYPING_SHOWN_MS));
    this.#tell();
  }

  #stopsTyping(userId) {
    clearTimeout(this.#typing.get(userId));
    this.#typing.delete(userId);
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

async function readAll(path, query = {}) {
  const found = [];
  let cursor = null;
  do {
    const page = await api.get(path, { query: { ...query, limit: 100, cursor } });
    found.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

export const inbox = new Inbox();
