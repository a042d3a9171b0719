// Private messages: the list of conversations, and one open conversation; both are updated live.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { draftOf, keepDraft } from "../drafts.js";
import { nameOf } from "../format.js";
import { isolated } from "../isolate.js";
import { Problem } from "../problem.js";
import { connection } from "../realtime/connection.js";
import { inbox } from "../realtime/my_inbox.js";
import { View } from "../view.js";
import { idIn } from "../where_to.js";
import { sendIcon } from "../ui/icons.js";
import { ofMessage } from "../ui/moment.js";

/** If the log is scrolled to within this many pixels of its end, it follows new messages. */
const NEAR_END = 80;

export class Messages extends View {
  title = "Messages";
  layout = "messages-layout";
  other = null;
  listing = null;
  done = "";
  #hasDraft = false;
  #followsEnd = true;
  #height = 0;
  #top = 0;
  #isPrepending = false;
  #onShow = () => this.#markRead();

  start() {
    this.userId = this.params.user_id ?? null;
    if (!this.userId) return;
    this.thread = inbox.thread(this.userId);
    document.addEventListener("visibilitychange", this.#onShow);
    window.addEventListener("focus", this.#onShow);
    this.load(() => this.#open());
  }

  stop() {
    super.stop();
    document.removeEventListener("visibilitychange", this.#onShow);
    window.removeEventListener("focus", this.#onShow);
  }

  async #open() {
    const listingId = idIn(this.query, "listing");
    const isKnown = inbox.conversations.has(this.userId);
    const [other, listing] = await Promise.all([
      isKnown ? inbox.conversations.get(this.userId).user : this.#person(),
      listingId ? api.get(`/api/listings/${listingId}`).catch(() => null) : null,
      this.thread.isLoaded ? null : this.thread.loadOlder(),
    ]);
    this.other = other;
    this.listing = listing;
    this.title = `Messages with ${isolated(nameOf(other))}`;
  }

  /** A deleted account is unknown, but its messages stay. */
  async #person() {
    try {
      return await api.get(`/api/users/${this.userId}`);
    } catch (error) {
      if (error.status !== 404 || !this.thread) throw error;
      await inbox.ask(this.userId);
      const known = inbox.conversations.get(this.userId);
      if (!known) throw error;
      return known.user;
    }
  }

  template() {
    return html`<div class="messages ${this.userId ? "has-thread" : ""}">
      <section class="conversations" aria-labelledby="conversations-title">
        ${this.userId ? html`<h2 id="conversations-title">Messages</h2>` : html`<h1 id="conversations-title">Messages</h1>`}
        ${this.#conversations()}
      </section>
      ${this.userId ? this.#thread() : html`<p class="empty choose">Choose a conversation.</p>`}
    </div>`;
  }

  #conversations() {
    if (!inbox.isLoaded) return html`<p class="quiet" role="status">Loading…</p>`;
    if (!inbox.list.length) return html`<p class="empty">No messages yet. Ask a seller about a car.</p>`;
    return html`<ul>
      ${repeat(
        inbox.list,
        (one) => one.user.id,
        (one) => this.#conversation(one),
      )}
    </ul>`;
  }

  #conversation({ user, last_message: last, unread_count: unread }) {
    const id = String(user.id);
    return html`<li>
      <a
        class="conversation"
        href=${`/messages/${id}`}
        aria-current=${id === this.userId ? "true" : nothing}
        data-conversation=${id}
      >
        <span class="avatar" aria-hidden="true">${initial(user)}</span>
        <span class="conversation-text">
          <bdi class="conversation-name" translate="no">${nameOf(user)}</bdi>
          <span class="conversation-last quiet">
            ${inbox.isTyping(id) ? "is typing…" : html`${last.from === inbox.me ? "You: " : ""}<bdi>${last.message}</bdi>`}
          </span>
        </span>
        <span class="conversation-side">
          ${ofMessage(last.inserted_at, "quiet small-text")}
          ${unread
            ? html`<span class="badge" data-unread=${unread}>${unread}<span class="for-readers"> unread</span></span>`
            : nothing}
        </span>
      </a>
    </li>`;
  }

  #thread() {
    if (this.problem) {
      const words = this.problem.status === 404 ? "There is no such person." : this.problem.message;
      return html`<section class="thread"><h1>This did not work</h1><p class="fault" role="alert">${words}</p></section>`;
    }
    if (!this.other) return html`<section class="thread"><p class="quiet" role="status">Loading…</p></section>`;
    const name = nameOf(this.other);
    return html`<section class="thread" aria-labelledby="thread-title">
      <header class="thread-head">
        <a class="back" href="/messages" aria-label="All messages">‹</a>
        <h1 id="thread-title"><bdi translate="no">${name}</bdi></h1>
        <button class="link small-text" @click=${() => this.#block()}>Block</button>
      </header>
      ${connection.isLive
        ? nothing
        : html`<p class="notice warning small-text" data-banner=${connection.state}>
            ${connection.words} What you write is sent as soon as possible.
          </p>`}
      <div class="log" id="log" role="group" aria-label=${`Messages with ${isolated(name)}`} tabindex="0" @scroll=${this.#scrolled}>
        ${this.thread.hasOlder
          ? html`<p class="more">
              <button class="button small" @click=${() => this.#older()}>Earlier messages</button>
            </p>`
          : nothing}
        <ol>
          ${repeat(
            this.thread.messages,
            (message) => message.id,
            (message) => this.#message(message),
          )}
          ${repeat(
            inbox.outbox.to(this.userId),
            (one) => one.client_ref,
            (one) => this.#pending(one),
          )}
        </ol>
        ${this.thread.isLoaded && !this.thread.messages.length && !inbox.outbox.to(this.userId).length
          ? html`<p class="empty">Say hello to <bdi translate="no">${name}</bdi>.</p>`
          : nothing}
        <p class="typing quiet small-text">${inbox.isTyping(this.userId) ? html`<bdi translate="no">${name}</bdi> is typing…` : ""}</p>
      </div>
      ${this.#composer(name)}
    </section>`;
  }

  #message(message) {
    const isMine = message.from === inbox.me;
    const isLast = isMine && message === this.thread.messages.findLast((one) => one.from === inbox.me);
    return html`<li class="message ${isMine ? "mine" : ""}" data-message=${message.id}>
      <span class="for-readers">${isMine ? "You" : html`<bdi translate="no">${nameOf(this.other)}</bdi>`}:</span>
      <p class="bubble user-text" dir="auto">${message.message}</p>
      <p class="message-foot quiet small-text">
        ${message.listing_id ? html`<a href=${`/listings/${message.listing_id}`}>About a listing</a> · ` : nothing}
        ${ofMessage(message.inserted_at)}
        ${isLast && message.read_at ? html`<span class="read"> · Read</span>` : nothing}
      </p>
    </li>`;
  }

  #pending(one) {
    const outbox = inbox.outbox;
    const state = outbox.state(one);
    const isRefused = state === "refused";
    return html`<li class="message mine pending" data-pending=${one.client_ref}>
      <span class="for-readers">You:</span>
      <p class="bubble user-text" dir="auto">${one.message}</p>
      <p class="message-foot small-text ${isRefused ? "fault" : "quiet"}">
        ${isRefused
          ? html`<span role="alert">Not sent: ${one.reason}</span>
              <button class="link" @click=${() => outbox.again(one)}>Try again</button>
              <button class="link" @click=${() => this.#edit(one)}>Edit</button>
              <button class="link" @click=${() => outbox.discard(one)}>Discard</button>`
          : state === "sending"
            ? "Sending…"
            : "Waiting for the connection"}
      </p>
    </li>`;
  }

  #composer(name) {
    const send = (event) => {
      event.preventDefault();
      const field = event.currentTarget.elements.message;
      const text = field.value;
      if (!text.trim()) return;
      field.value = "";
      keepDraft(this.#draft, "");
      this.#followsEnd = true;
      inbox.send(this.userId, text, this.listing?.id ?? null);
      this.listing = null;
      field.focus();
    };
    const keys = (event) => {
      // Enter sends, Shift+Enter begins a new line.
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      event.currentTarget.form.requestSubmit();
    };
    return html`<form class="composer" aria-label="Write a message" @submit=${send}>
      ${this.listing
        ? html`<p class="about small-text">About <a href=${`/listings/${this.listing.id}`}><bdi>${this.listing.title}</bdi></a></p>`
        : nothing}
      <p class="done small-text" role="status">${this.done}</p>
      <div class="composer-row">
        <textarea
          name="message"
          rows="1"
          aria-label=${`Message to ${isolated(name)}`}
          placeholder="Write a message"
          @input=${(event) => {
            keepDraft(this.#draft, event.currentTarget.value);
            inbox.typing(this.userId);
          }}
          @keydown=${keys}
        ></textarea>
        <button class="button primary send" aria-label="Send">${sendIcon}</button>
      </div>
    </form>`;
  }

  /** Puts a refused message back into the field, before the text that is there already. */
  #edit(one) {
    const field = document.querySelector(".composer textarea");
    field.value = [one.message, field.value].filter(Boolean).join("\n");
    keepDraft(this.#draft, field.value);
    inbox.outbox.discard(one);
    field.focus();
  }

  #scrolled = (event) => {
    const log = event.currentTarget;
    this.#followsEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
  };

  beforeDraw() {
    const log = document.getElementById("log");
    this.#height = log?.scrollHeight ?? 0;
    this.#top = log?.scrollTop ?? 0;
  }

  get #draft() {
    return `message to ${this.userId}`;
  }

  /** The field may be the one of the conversation before, with its text. */
  #showDraft() {
    const field = document.querySelector(".composer textarea");
    if (!field || this.#hasDraft) return;
    this.#hasDraft = true;
    field.value = draftOf(this.#draft);
  }

  afterDraw() {
    this.#showDraft();
    const log = document.getElementById("log");
    if (!log) return;
    if (this.#isPrepending) log.scrollTop = this.#top + log.scrollHeight - this.#height;
    else if (this.#followsEnd) log.scrollTop = log.scrollHeight;
    this.#isPrepending = false;
    this.#markRead();
  }

  async #older() {
    try {
      await this.thread.loadOlder();
      this.#isPrepending = true;
    } catch (error) {
      this.done = Problem.of(error).message;
    }
    this.update();
  }

  #markRead() {
    if (this.userId && !this.isLeft && document.visibilityState === "visible") inbox.markRead(this.userId);
  }

  async #block() {
    try {
      await api.put(`/api/users/${this.userId}/block`);
      this.done = `${isolated(nameOf(this.other))} is blocked. Under your account you can undo it.`;
    } catch (error) {
      this.done = Problem.of(error).message;
    }
    this.update();
  }
}

/** The first letter of a name, which may begin with other signs. */
const initial = (user) => (/[\p{L}\p{N}]/u.exec(nameOf(user))?.[0] ?? "?").toUpperCase();
