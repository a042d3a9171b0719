// All conversations of the user: the other person, the last message, what is unread, and who is typing.
//
// The private chat client makes sure that no message is missed or shown twice. The server counts unread messages: the
// inbox asks again whenever it may have missed more than one message.

import { Outbox } from "./outbox.js";
import { Thread } from "./thread.js";

const TYPING_SHOWN_MS = 5_000;
const TYPING_TOLD_EVERY_MS = 2_500;
const LOAD_AGAIN_MS = 3_000;

export class Inbox {
  /** By the other user's id, as a string: {user, last_message, unread_count}. */
  conversations = new Map();
  isLoaded = false;
  outbox = new Outbox({ sent: (one, answer) => this.#sent(one, answer), changed: () => this.#tell() });
  #connection;
  #api;
  #announce;
  #me = "";
  #chat = null;
  #threads = new Map();
  #typing = new Map();
  #toldTypingAt = 0;
  #loading = null;
  #isStale = false;
  #listeners = [];

  /** `connection.chat` opens the chat, `api.get` reads by REST, `announce(text)` speaks to screen readers. */
  constructor({ connection, api, announce }) {
    this.#connection = connection;
    this.#api = api;
    this.#announce = announce;
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  open(userId) {
    this.#me = String(userId);
    this.#chat = this.#connection.chat(this.#me, {
      afterId: () => this.#newestId(),
      readOn: (afterId) => this.#pages("/api/messages", { after_id: afterId }),
      onMessage: (message, { isLive }) => this.#received(message, isLive),
      onCaughtUp: () => this.load(),
      onRead: ({ by, with: other, up_to }) => this.#read(by, other, up_to),
      onTyping: ({ from }) => this.#isTyping(from),
      onChange: () => this.#tell(),
    });
    this.outbox.open(this.#chat);
  }

  close() {
    this.#chat?.leave();
    this.#chat = null;
    this.outbox.close();
    this.conversations = new Map();
    this.isLoaded = false;
    this.#threads.clear();
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
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
      thread = new Thread(userId, this.#api);
      this.#threads.set(userId, thread);
    }
    return thread;
  }

  send(to, message, listingId) {
    this.#toldTypingAt = 0;
    this.outbox.add(to, message, listingId);
  }

  /** Tells that person, at most every TYPING_TOLD_EVERY_MS, that this user is writing. */
  typing(to) {
    if (Date.now() - this.#toldTypingAt < TYPING_TOLD_EVERY_MS) return;
    if (this.#chat?.typing(to)) this.#toldTypingAt = Date.now();
  }

  isTyping(userId) {
    return this.#typing.has(userId);
  }

  /** Marks what that person wrote as read, up to the newest loaded message. */
  markRead(userId) {
    const upTo = this.#threads.get(userId)?.newestUnread(this.#me);
    if (upTo && this.#chat?.read(userId, upTo)) this.#read(this.#me, userId, upTo);
  }

  /**
   * Loads the conversations. If a message arrives in the meantime, the answer may lack it, so they are loaded again.
   */
  load() {
    this.#isStale = true;
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load() {
    const chat = this.#chat;
    try {
      while (this.#isStale && chat === this.#chat) {
        this.#isStale = false;
        const found = [];
        for await (const page of this.#pages("/api/conversations")) found.push(...page);
        if (this.#isStale || chat !== this.#chat) continue;
        this.conversations = new Map(found.map((one) => [String(one.user.id), one]));
        this.isLoaded = true;
        this.#tell();
      }
    } catch {
      setTimeout(() => chat === this.#chat && this.load(), LOAD_AGAIN_MS);
    } finally {
      if (chat === this.#chat) this.#loading = null;
    }
  }

  /** Resolves with the newest message's id. The page reads older messages by REST; the chat delivers newer ones. */
  async #newestId() {
    const { data } = await this.#api.get("/api/conversations", { query: { limit: 1 } });
    // Threads that were loaded before may lack newer messages.
    await Promise.all([...this.#threads.values()].map((thread) => thread.loadNewest()));
    return data[0]?.last_message.id ?? 0;
  }

  async *#pages(path, query = {}) {
    let cursor = null;
    do {
      const page = await this.#api.get(path, { query: { ...query, limit: 100, cursor } });
      yield page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }

  #received(message, isLive) {
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
      if (!isMine && isNew && isLive) this.#announce(`${conversation.user.name}: ${message.message}`);
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
