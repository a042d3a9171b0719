// All conversations of the user: the other person, the last message, what is unread, and who is typing.
//
// The private chat client makes sure that no message is missed or shown twice. The inbox loads all conversations once,
// and then updates them with each message. It asks the server again only about conversations that may have changed in
// other ways: those of missed messages, and after a gap those with unread messages, which another device may have read.

import { isolated } from "../isolate.js";
import { said } from "../said.js";
import { Outbox } from "./outbox.js";
import { Thread } from "./thread.js";

const TYPING_SHOWN_MS = 5_000;
const TYPING_TOLD_EVERY_MS = 2_500;
const ASK_AGAIN_MS = 3_000;
/** A request without an answer ends then, and is made again. */
const ANSWER_MS = 30_000;

export class Inbox {
  /**
   * By the other user's id, as a string: {user, last_message, unread_count, request}. `request` is "open" or "declined" for
   * what somebody writes whom this user has not accepted, and null for the others.
   */
  conversations = new Map();
  isLoaded = false;
  outbox = new Outbox({
    sent: (one, answer) => this.#sent(one, answer),
    changed: () => this.#tell(),
    refused: (one, reason) => reason === "you blocked this person" && this.#blockedElsewhere(one.to),
  });
  #connection;
  #api;
  #announce;
  #notify;
  #pageItems;
  #sanctioned;
  #me = "";
  #chat = null;
  #threads = new Map();
  #typing = new Map();
  #toldTypingAt = 0;
  /** Ids of users whose conversations must be loaded again. */
  #stale = new Set();
  /** By their sender's id, live messages that are not told yet, because only the server knows who wrote them. */
  #untold = new Map();
  /** Ids of messages that were deleted while this page was open: a deletion may arrive before its message. */
  #deleted = new Map();
  #asking = null;
  #askAgain = null;
  #listeners = [];
  /** Ids of people whom this user has blocked on another device, as a refused message has told. */
  #blocked = new Set();

  /**
   * `connection.chat` opens the chat, `api.get` reads by REST, `announce(text)` speaks to screen readers,
   * `notify({user, message})` may show a notification; `sanctioned(sanction)` hears what moderators do. `pageItems` is the most items on a page of the API.
   */
  constructor({ connection, api, announce, notify = () => {}, sanctioned = () => {}, pageItems }) {
    this.#notify = notify;
    this.#sanctioned = sanctioned;
    this.#pageItems = pageItems;
    this.#connection = connection;
    this.#api = { get: (path, options) => api.get(path, { signal: AbortSignal.timeout?.(ANSWER_MS), ...options }) };
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
      onCaughtUp: () => this.#caughtUp(),
      onRead: ({ by, with: other, up_to }) => this.#read(by, other, up_to),
      onTyping: ({ from }) => this.#isTyping(from),
      onDeleted: (message) => this.deleted(message),
      onMoreDeleted: () => this.#forgetThreads(),
      on: {
        request: ({ with: other, state }) => this.decided(other, state),
        sanction: (sanction) => this.#sanctioned(sanction),
      },
      onChange: () => this.#tell(),
    });
    this.outbox.open(this.#chat, this.#me);
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
    this.#stale = new Set();
    this.#deleted.clear();
    this.#untold.clear();
    this.#blocked.clear();
    this.#asking = null;
  }

  get me() {
    return this.#me;
  }

  /** Latest first, without requests. */
  get list() {
    return this.#latest(null);
  }

  /** The requests that wait, latest first. They are not counted, and nobody is told of them. */
  get requests() {
    return this.#latest("open");
  }

  #latest(request) {
    const found = [...this.conversations.values()].filter((one) => (one.request ?? null) === request);
    return found.sort((a, b) => b.last_message.id - a.last_message.id);
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

  send(to, message, listingId, pictures) {
    this.#toldTypingAt = 0;
    this.outbox.add(to, message, listingId, pictures);
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

  /** This user, perhaps on another device, has "accepted" or "declined" what that person writes. */
  decided(userId, state) {
    const conversation = this.conversations.get(userId);
    if (conversation) conversation.request = state === "accepted" ? null : state;
    // What came while the person was declined was not delivered.
    if (state === "accepted") {
      this.#threads.get(userId)?.loadNewest().then(() => this.#tell(), () => {});
      this.ask(userId);
    }
    this.#tell();
  }

  /** Whether this user has blocked that person; undefined if it is not known here. */
  isBlocked(userId) {
    return this.#blocked.has(userId) || this.conversations.get(userId)?.blocked;
  }

  /** This user has blocked that person, or unblocked. */
  blocked(userId, isBlocked) {
    if (!isBlocked) this.#blocked.delete(userId);
    const conversation = this.conversations.get(userId);
    if (conversation) conversation.blocked = isBlocked;
    this.#tell();
  }

  #blockedElsewhere(userId) {
    this.#blocked.add(userId);
    this.blocked(userId, true);
  }

  /** Drops the text of a message that its sender has deleted; `from` is known if it was deleted just now. */
  deleted({ id, from = null, deleted_at: at = new Date().toISOString() }) {
    this.#deleted.set(id, at);
    for (const thread of this.#threads.values()) thread.delete(id, at);
    for (const [userId, one] of this.conversations) {
      if (one.last_message.id === id) one.last_message = without(one.last_message, at);
      // Nobody has to read it any more.
      if (userId === from && one.unread_count > 0) this.ask(userId);
    }
    this.#tell();
  }

  /** More was deleted than the server names: the threads are loaded again. */
  #forgetThreads() {
    for (const thread of this.#threads.values()) thread.loadAgain().then(() => this.#tell(), () => {});
    this.#stale = new Set(this.conversations.keys());
    this.#ask();
  }

  /** Loads the conversation with that person again. Resolves when the request has ended, also if it failed. */
  ask(userId) {
    this.#stale.add(userId);
    return this.#ask();
  }

  #caughtUp() {
    for (const [userId, one] of this.conversations) if (one.unread_count > 0) this.#stale.add(userId);
    this.#ask();
  }

  #ask() {
    if (this.isLoaded && this.#stale.size === 0) return this.#asking ?? Promise.resolve();
    this.#asking ??= this.#askAll();
    return this.#asking;
  }

  async #askAll() {
    const chat = this.#chat;
    const isCurrent = () => chat === this.#chat;
    try {
      while (isCurrent() && !(this.isLoaded && this.#stale.size === 0)) {
        await (this.isLoaded ? this.#askAboutStale(isCurrent) : this.#askForAll(isCurrent));
        if (isCurrent()) this.#tell();
      }
    } catch {
      clearTimeout(this.#askAgain);
      this.#askAgain = setTimeout(() => isCurrent() && this.#ask(), ASK_AGAIN_MS);
    } finally {
      if (isCurrent()) this.#asking = null;
    }
  }

  async #askForAll(isCurrent) {
    this.#stale.clear();
    const found = [];
    for (const query of [{ sort: "user" }, { request: "open" }]) {
      for await (const page of this.#pages("/api/conversations", query)) found.push(...page);
    }
    if (!isCurrent()) return;
    this.conversations = new Map(found.map((one) => [String(one.user.id), one]));
    this.isLoaded = true;
  }

  async #askAboutStale(isCurrent) {
    const asked = [...this.#stale].slice(0, this.#pageItems);
    for (const userId of asked) this.#stale.delete(userId);
    try {
      const query = { user_ids: asked.join(","), limit: this.#pageItems };
      const { data } = await this.#api.get("/api/conversations", { query });
      if (!isCurrent()) return;
      for (const one of data) {
        const userId = String(one.user.id);
        // A stale conversation is loaded again anyway: the answer may lack what has happened since.
        if (!this.#stale.has(userId) || !this.conversations.has(userId)) this.conversations.set(userId, one);
        const message = this.#untold.get(userId);
        if (message && !this.#deleted.has(message.id)) this.#say(one, message);
        this.#untold.delete(userId);
        this.#blocked.delete(userId);
      }
    } catch (error) {
      if (isCurrent()) for (const userId of asked) this.#stale.add(userId);
      throw error;
    }
  }

  /** Resolves with the newest message's id. The page reads older messages by REST; the chat delivers newer ones. */
  async #newestId() {
    const { data } = await this.#api.get("/api/conversations", { query: { limit: 1 } });
    // Threads that were loaded before may lack newer messages.
    await Promise.all([...this.#threads.values()].map((thread) => thread.loadNewest()));
    // All that is not newer is in the conversations, which need no connection: they are asked for after this id.
    this.#ask();
    return data[0]?.last_message.id ?? 0;
  }

  async *#pages(path, query = {}) {
    let cursor = null;
    do {
      const page = await this.#api.get(path, { query: { ...query, limit: this.#pageItems, cursor } });
      yield page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }

  #received(received, isLive) {
    const at = this.#deleted.get(received.id);
    const message = at ? without(received, at) : received;
    const isMine = message.from === this.#me;
    const other = isMine ? message.to : message.from;
    // A message that was delivered after it waited for a moderator left the outbox long ago.
    if (isMine && !message.was_id) this.outbox.seen(message);
    const isNew = this.#threads.get(other)?.add(message) ?? true;
    const conversation = this.conversations.get(other);
    if (!conversation) {
      this.#stale.add(other);
      if (!isMine && isLive) this.#untold.set(other, message);
      if (isLive) this.#ask();
    } else if (message.id > conversation.last_message.id) {
      // The answer to a current request may be older than this message.
      if (!isLive || this.#asking) this.#stale.add(other);
      // What is held has answered nobody: what they write first is a request.
      if (!isMine && message.request && conversation.last_message.held) conversation.request = "open";
      conversation.last_message = message;
      // An answer accepts.
      if (isMine && !message.held) conversation.request = null;
      if (!isMine && !message.deleted_at) conversation.unread_count += 1;
      if (!isMine && isNew && isLive) this.#say(conversation, message);
      // The conversation is about another car now, which may have made it more than a request.
      if (message.listing_id && message.listing_id !== conversation.listing?.id && isLive) this.ask(other);
    } else if (!isMine && isLive) {
      // A later message arrived first, through another node.
      this.ask(other);
    }
    if (!isMine) this.#stopsTyping(other);
    this.#tell();
  }

  /** Says that a message has come. Nobody hears of a request. */
  #say({ user, request }, message) {
    if (message.deleted_at || request) return;
    this.#announce(`${isolated(user.name)}: ${said(message)}`);
    this.#notify({ user, message });
  }

  #sent(one, { id, inserted_at, deleted_at, held }) {
    const { to, listing_id } = one;
    const { pictures } = deleted_at ? {} : one;
    // Another tab may have sent it, and it may have been deleted since.
    const isDeleted = deleted_at ? { deleted_at } : {};
    const message = deleted_at ? "" : one.message;
    this.#received({ id, from: this.#me, to, message, listing_id, inserted_at, read_at: null, ...isDeleted, ...(held && { held }), ...(pictures && { pictures }) }, true);
  }

  #read(by, other, upTo) {
    const isMine = by === this.#me;
    this.#threads.get(isMine ? other : by)?.read(by, upTo, new Date().toISOString());
    const conversation = this.conversations.get(isMine ? other : by);
    if (isMine && conversation) {
      const isAll = upTo >= conversation.last_message.id || conversation.last_message.from === this.#me;
      if (isAll) conversation.unread_count = 0;
      if (!isAll || this.#asking) this.ask(other);
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

/** Returns a message as it is when its sender has deleted it. */
function without(message, at) {
  const { pictures: _, ...rest } = message;
  return { ...rest, message: "", deleted_at: at };
}
