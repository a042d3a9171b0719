// Private messages: the list of conversations, and one open conversation; both are updated live.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { contactsIn } from "../contacts.js";
import { draftOf, keepDraft } from "../drafts.js";
import { dayOf, nameOf, timeOfDay } from "../format.js";
import { isolated } from "../isolate.js";
import { Problem } from "../problem.js";
import { said } from "../said.js";
import { connection } from "../realtime/connection.js";
import { inbox } from "../realtime/my_inbox.js";
import { allow as allowNotifications, mayOffer as mayOfferNotifications, refuse as refuseNotifications } from "../realtime/notifications.js";
import { View } from "../view.js";
import { idIn } from "../where_to.js";
import { announce } from "../ui/announcer.js";
import { briefOf, carInBrief } from "../ui/car_in_brief.js";
import { Dialog } from "../ui/dialog.js";
import { sendIcon } from "../ui/icons.js";
import { Gallery } from "../ui/gallery.js";
import { menu } from "../ui/menu.js";
import { ChosenPictures, picturesOf } from "../ui/message_pictures.js";
import { moment, ofMessage } from "../ui/moment.js";
import { REPORTED, reportDialog } from "../ui/report_dialog.js";
import { userText } from "../ui/user_text.js";

/** The time of a message below the heading of its day. */
const inDay = moment(timeOfDay);
/** If the log is scrolled to within this many pixels of its end, it follows new messages. */
const NEAR_END = 80;
/** So many of the other person's last messages can be chosen to be reported. */
const MOST_TO_REPORT = 20;
/** Messages of one person within this time stand together, and only the last of them says when it was. */
const TOGETHER_MS = 5 * 60_000;

export class Messages extends View {
  title = "Messages";
  layout = "messages-layout";
  other = null;
  /** The car that the next message is about, because the person comes from its page. */
  listing = null;
  #lastListing = null;
  #isBlocked = false;
  /** What is listed: the inbox, the requests that wait, or those that were declined. */
  #box = "inbox";
  #declined = null;
  done = "";
  #hasWritten = false;
  /** Titles of other cars that messages are about, by id; null for those that are gone. */
  #titles = new Map();
  /** The field that shows the draft: after a block it is another one. */
  #fieldWithDraft = null;
  #followsEnd = true;
  #height = 0;
  #top = 0;
  #isPrepending = false;
  #onUnload = (event) => {
    // What is typed is kept, and pictures that are uploaded.
    if (this.#chosen.isBusy) event.preventDefault();
  };
  #onShow = () => this.#markRead();
  #onResize = () => requestAnimationFrame(() => this.update());
  reporting = reportDialog(this, () => {
    announce(REPORTED);
    this.done = REPORTED;
    this.update();
  });
  blocking = new Dialog(this, "block", {
    title: (name) => `Block ${isolated(name ?? "")}?`,
    action: "Block",
    isDanger: true,
    fields: () => html`<p>
      They can no longer write to you, and you are not told of their cars. They are not told that you have blocked them.
      You can undo it here, and under your account.
    </p>`,
    submit: () => this.#block(true),
  });

  #chosen = new ChosenPictures(this, `pictures to ${this.params.user_id}`);
  #gallery = new Gallery(this);
  /** The message whose pictures are shown large. */
  #enlarged = null;
  deleting = new Dialog(this, "delete-message", {
    title: () => "Delete this message?",
    action: "Delete",
    isDanger: true,
    fields: () => html`<p>What it says is gone for both of you, for good. Both see that there was a message.</p>`,
    submit: (_, message) => this.#delete(message),
  });

  start() {
    this.userId = this.params.user_id ?? null;
    const box = this.query.get("box");
    if (Object.hasOwn(BOXES, box)) this.#box = box;
    if (this.#box === "declined") this.#loadDeclined();
    if (!this.userId) return;
    this.thread = inbox.thread(this.userId);
    this.#chosen.start();
    window.addEventListener("beforeunload", this.#onUnload);
    document.addEventListener("visibilitychange", this.#onShow);
    window.addEventListener("focus", this.#onShow);
    // When the keyboard opens, the end of the log stays in view. Its new height is known in the next frame.
    window.addEventListener("resize", this.#onResize);
    this.load(() => this.#open());
  }

  stop() {
    super.stop();
    this.#chosen.stop();
    window.removeEventListener("beforeunload", this.#onUnload);
    document.removeEventListener("visibilitychange", this.#onShow);
    window.removeEventListener("focus", this.#onShow);
    window.removeEventListener("resize", this.#onResize);
  }

  async #open() {
    const listingId = idIn(this.query, "listing");
    const isKnown = inbox.conversations.has(this.userId);
    const [, listing] = await Promise.all([
      isKnown ? this.#meet(inbox.conversations.get(this.userId)) : this.#person().then((one) => this.#meet(one)),
      listingId ? api.get(`/api/listings/${listingId}`).catch(() => null) : null,
      this.thread.isLoaded ? null : this.thread.loadOlder(),
    ]);
    this.listing = this.#lastListing = listing;
    this.title = `Messages with ${isolated(nameOf(this.other))}`;
    // The car may have been sold since.
    if (isKnown) inbox.ask(this.userId);
  }

  #meet({ user, blocked }) {
    this.other = user;
    this.#isBlocked = blocked ?? false;
  }

  get isBlocked() {
    return inbox.isBlocked(this.userId) ?? this.#isBlocked;
  }

  /** A deleted account is unknown, but its messages stay. */
  async #person() {
    try {
      const user = await api.get(`/api/users/${this.userId}`);
      return { user, blocked: user.blocked };
    } catch (error) {
      if (error.status !== 404 || !this.thread) throw error;
      await inbox.ask(this.userId);
      const known = inbox.conversations.get(this.userId);
      if (!known) throw error;
      return known;
    }
  }

  template() {
    return html`<div class="messages ${this.userId ? "has-thread" : ""}">
      <section class="conversations" aria-labelledby="conversations-title">
        ${this.userId
          ? html`<h2 id="conversations-title">${BOXES[this.#box].title}</h2>`
          : html`<h1 id="conversations-title">${BOXES[this.#box].title}</h1>`}
        ${this.#boxes()} ${this.#conversations()}
      </section>
      ${this.userId ? this.#thread() : html`<p class="empty choose">Choose a conversation.</p>`}
    </div>`;
  }

  /** Links to what else can be listed. */
  #boxes() {
    if (this.#box !== "inbox") {
      return html`<p class="boxes small-text">
        <a href="/messages">‹ All messages</a>
        ${this.#box === "requests" ? html` · <a href="/messages?box=declined">Declined</a>` : html` · <a href="/messages?box=requests">Requests</a>`}
      </p>`;
    }
    const count = inbox.requests.length;
    return html`<p class="boxes small-text"><a href="/messages?box=requests">Requests${count ? ` (${count})` : ""}</a></p>`;
  }

  get #listed() {
    if (this.#box === "declined") return this.#declined;
    if (!inbox.isLoaded) return null;
    return this.#box === "requests" ? inbox.requests : inbox.list;
  }

  async #loadDeclined() {
    try {
      const { data } = await api.get("/api/conversations", { query: { request: "declined" }, signal: this.signal });
      this.#declined = data;
    } catch (error) {
      this.done = Problem.of(error).message;
      this.#declined = [];
    }
    this.update();
  }

  #conversations() {
    const listed = this.#listed;
    if (!listed) return html`<p class="quiet" role="status">Loading…</p>`;
    if (!listed.length) return html`<p class="empty">${BOXES[this.#box].empty}</p>`;
    return html`<ul>
      ${repeat(
        listed,
        (one) => one.user.id,
        (one) => this.#conversation(one),
      )}
    </ul>`;
  }

  #conversation({ user, last_message: last, unread_count: unread, listing, blocked }) {
    const id = String(user.id);
    return html`<li>
      <a
        class="conversation"
        href=${`/messages/${id}${this.#box === "inbox" ? "" : `?box=${this.#box}`}`}
        aria-current=${id === this.userId ? "true" : nothing}
        data-conversation=${id}
      >
        <span class="avatar" aria-hidden="true">${initial(user)}</span>
        <span class="conversation-text">
          <bdi class="conversation-name" translate="no">${nameOf(user)}</bdi>
          ${listing
            ? html`<span class="conversation-car small-text"
                >${listing.status === "sold" ? "Sold: " : ""}<bdi>${listing.title}</bdi></span
              >`
            : nothing}
          <span class="conversation-last quiet">
            ${blocked
              ? "Blocked"
              : inbox.isTyping(id)
                ? "is typing…"
                : html`${last.from === inbox.me ? "You: " : ""}${inWords(last)}`}
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
      return html`<section class="thread">
        <h1>This did not work</h1>
        <p class="fault" role="alert">${words}</p>
        <p><a href="/messages">All messages</a></p>
      </section>`;
    }
    if (!this.other) return html`<section class="thread"><p class="quiet" role="status">Loading…</p></section>`;
    const name = nameOf(this.other);
    return html`<section class="thread" aria-labelledby="thread-title">
      <header class="thread-head">
        <a class="back" href=${this.#box === "inbox" ? "/messages" : `/messages?box=${this.#box}`} aria-label="All messages">‹</a>
        <h1 id="thread-title"><bdi translate="no">${name}</bdi></h1>
        ${menu(`More about ${isolated(name)}`, this.#acts(name))}
      </header>
      ${this.#car()} ${this.#asked(name)}
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
            (message, index) => this.#message(message, index),
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
      ${this.#closed(name) ?? this.#composer(name)} ${this.blocking.template()} ${this.deleting.template()}
      ${this.#large()}
      ${this.reporting.template()}
    </section>`;
  }

  #acts(name) {
    const { name: isHere } = this.other;
    return html`${isHere ? html`<button class="button" @click=${() => this.#report(name)}>Report</button>` : nothing}
    ${this.isBlocked
      ? html`<button class="button" @click=${() => this.#block(false)}>Unblock</button>`
      : html`<button class="button" @click=${() => this.blocking.open(name)}>Block</button>`}`;
  }

  #report(name) {
    const theirs = this.thread.messages.filter(this.#isTheirs).slice(-MOST_TO_REPORT);
    const choices = [
      ["", "Choose…"],
      ...theirs.reverse().map((one) => [`/api/messages/${one.id}`, `“${shortened(said(one))}”`]),
      [`/api/users/${this.userId}`, `All that ${name} does`],
    ];
    this.reporting.open({ title: `What is wrong with ${isolated(name)}?`, choices });
  }

  /** "open" or "declined" if this person is not accepted; null otherwise. */
  get #request() {
    return inbox.conversations.get(this.userId)?.request ?? null;
  }

  /** Says that a stranger asks to write, with what can be done about it. */
  #asked(name) {
    const request = this.isBlocked ? null : this.#request;
    if (!request) return nothing;
    const decide = (state) => () => this.#decide(state);
    return html`<div class="notice request small-text" id="request" role="group" aria-label="Request">
      <p>
        ${request === "open"
          ? html`<bdi translate="no">${name}</bdi> is a stranger, and does not ask about a car of yours. They are not told that you
              have read this. If you answer, you accept. If you report it, you decline.`
          : html`You have declined <bdi translate="no">${name}</bdi>, who does not know. If you answer, you accept.`}
      </p>
      <p class="request-acts">
        <button class="button small" @click=${decide("accepted")}>Accept</button>
        ${request === "open" ? html`<button class="button small" @click=${decide("declined")}>Decline</button>` : nothing}
        ${request === "open" && this.other.name
          ? html`<button class="button small" @click=${() => this.#reportRequest()}>Report</button>`
          : nothing}
      </p>
    </div>`;
  }

  /** Tells the moderators of the last message, and declines: one press is enough to be rid of a stranger's offer. */
  async #reportRequest() {
    const last = this.thread.messages.findLast((one) => this.#isTheirs(one));
    try {
      await api.make(last ? `/api/messages/${last.id}/reports` : `/api/users/${this.userId}/reports`, { reason: "unrelated" });
    } catch (error) {
      const problem = Problem.of(error);
      // From another device, or with a reason.
      if (problem.type !== "already-reported") {
        this.done = problem.message;
        this.update();
        return;
      }
    }
    this.done = REPORTED;
    await this.#decide("declined");
    announce(REPORTED);
  }

  #isTheirs = (one) => one.from === this.userId && !one.deleted_at;

  async #decide(state) {
    try {
      await api.put(`/api/conversations/${this.userId}/request`, { state });
      inbox.decided(this.userId, state);
      announce(state === "accepted" ? "Accepted." : "Declined.");
      // The button that was pressed is gone.
      document.querySelector(".composer textarea")?.focus();
    } catch (error) {
      this.done = Problem.of(error).message;
    }
    this.update();
  }

  /** The car that the conversation is about, as it is now. */
  get #about() {
    const known = this.listing ? null : inbox.conversations.get(this.userId)?.listing;
    // After it was sent, the message's car stays until the conversation is known to be about it.
    return known ?? (this.#lastListing && briefOf(this.#lastListing));
  }

  #car() {
    return this.#about ? carInBrief(this.#about) : nothing;
  }

  /** Says why nothing can be written, instead of a field for it; null if something can. */
  #closed(name) {
    if (this.isBlocked) {
      return html`<p class="closed notice" id="blocked">
        You have blocked <bdi translate="no">${name}</bdi>. <button class="link" @click=${() => this.#block(false)}>Unblock</button>
        <span class="done small-text" role="status">${this.done}</span>
      </p>`;
    }
    if (this.other.name === "") return html`<p class="closed notice"><bdi>${name}</bdi> gets no messages any more.</p>`;
    if (!inbox.outbox.isHopeless(this.userId, this.listing !== null)) return null;
    if (inbox.outbox.isOnlyAboutListings(this.userId)) {
      return html`<p class="closed notice">
        <bdi translate="no">${name}</bdi> takes messages only about their cars. Write from the page of one.
      </p>`;
    }
    return html`<p class="closed notice">You cannot write to <bdi translate="no">${name}</bdi>.</p>`;
  }

  #message(message, index) {
    const { messages } = this.thread;
    const [before, after] = [messages[index - 1], messages[index + 1]];
    const isMine = message.from === inbox.me;
    const isLast = isMine && message === messages.findLast((one) => one.from === inbox.me);
    const day = dayOf(message.inserted_at);
    const isTogether =
      after?.from === message.from &&
      dayOf(after.inserted_at) === day &&
      new Date(after.inserted_at) - new Date(message.inserted_at) < TOGETHER_MS;
    const isOther = message.listing_id && message.listing_id !== this.#listingBefore(index);
    return html`${before && dayOf(before.inserted_at) === day ? nothing : html`<li class="day small-text"><span>${day}</span></li>`}
    ${isOther ? html`<li class="about-car small-text">${this.#aboutCar(message.listing_id)}</li>` : nothing}
    <li class="message ${isMine ? "mine" : ""}" data-message=${message.id}>
      <span class="for-readers">${isMine ? "You" : html`<bdi translate="no">${nameOf(this.other)}</bdi>`}:</span>
      ${this.#warning(message)}
      <div class="message-line">${isMine && !message.deleted_at ? this.#deleteButton(message) : nothing} ${this.#content(message, isMine)} ${isMine || message.deleted_at ? nothing : this.#reportButton(message)}</div>
      <p class="message-foot quiet small-text ${isTogether && !isLast && !message.held ? "for-readers" : ""}">
        ${inDay(message.inserted_at)} ${message.held && !message.deleted_at ? html`<span class="held"> · Waiting for review</span>` : nothing}
        ${isLast && message.read_at && !message.deleted_at ? html`<span class="read"> · Read</span>` : nothing}
      </p>
    </li>`;
  }

  #content(message, isMine) {
    if (message.deleted_at) return html`<p class="bubble is-deleted">Message deleted</p>`;
    const from = isMine ? "you" : isolated(nameOf(this.other));
    return html`<div class="message-content">
      ${picturesOf(message, from, (index) => this.#enlarge(message, from, index))} ${bubble(message, this.#isStranger)}
    </div>`;
  }

  #enlarge(message, from, index) {
    this.#enlarged = { id: message.id, title: `From ${from}` };
    this.#gallery.openAt(index);
  }

  /** The pictures of one message as large as the window; nothing any more if it was deleted meanwhile. */
  #large() {
    const message = this.#enlarged && this.thread.messages.find(({ id }) => id === this.#enlarged.id);
    if (!message?.pictures?.length) return nothing;
    return this.#gallery.large({ title: this.#enlarged.title, pictures: message.pictures, hidden: true });
  }

  /** Whether the reader has not answered yet, as far as the page has read. Then nothing that the other one writes is a link. */
  get #isStranger() {
    return !this.thread.messages.some((one) => one.from === inbox.me) && !inbox.outbox.to(this.userId).length;
  }

  /** What the reader should know before they follow a stranger away from the site. */
  #warning(message) {
    const found = this.#isStranger ? contactsIn(message.message) : [];
    if (!found.length) return nothing;
    return html`<p class="notice warning small-text" data-contacts=${found.join(" ")}>
      This stranger gives you ${listed(found.map((kind) => CONTACTS[kind]))}. Fraud often begins so: write here, and pay nothing before
      you have seen the car.
    </p>`;
  }

  #deleteButton(message) {
    return html`<button class="message-delete" aria-label=${`Delete “${isolated(shortened(said(message)))}”`} title="Delete" @click=${() => this.deleting.open(message)}>
      <span aria-hidden="true">×</span>
    </button>`;
  }

  #reportButton(message) {
    const title = `What is wrong with “${isolated(shortened(message.message))}”?`;
    const open = () => this.reporting.open({ title, path: `/api/messages/${message.id}` });
    return html`<button class="message-delete" aria-label=${`Report “${isolated(shortened(message.message))}”`} title="Report" @click=${open}>
      <span aria-hidden="true">⚑</span>
    </button>`;
  }

  async #delete(message) {
    await api.delete(`/api/messages/${message.id}`);
    inbox.deleted(message);
    announce("The message is deleted.");
  }

  /** The car that the message before named last; undefined if none did. */
  #listingBefore(index) {
    return this.thread.messages.slice(0, index).findLast((one) => one.listing_id)?.listing_id;
  }

  #aboutCar(id) {
    const title = id === this.#about?.id ? this.#about.title : this.#titleOf(id);
    return title === null
      ? "About a car that is no longer offered"
      : html`About <a href=${`/listings/${id}`}>${title ? html`<bdi>${title}</bdi>` : "a car"}</a>`;
  }

  /** Returns the title of a car, once it has come; undefined before, and null if there is no such car any more. */
  #titleOf(id) {
    if (!this.#titles.has(id)) {
      this.#titles.set(id, undefined);
      api
        .get(`/api/listings/${id}`, { signal: this.signal })
        .then(({ title }) => this.#titles.set(id, title))
        .catch((error) => error.status === 404 && this.#titles.set(id, null))
        .then(() => this.update());
    }
    return this.#titles.get(id);
  }

  #pending(one) {
    const outbox = inbox.outbox;
    const state = outbox.state(one);
    const isRefused = state === "refused";
    return html`<li class="message mine pending" data-pending=${one.client_ref}>
      <span class="for-readers">You:</span>
      ${picturesOf(one, "you")} ${bubble(one)}
      <p class="message-foot small-text ${isRefused ? "fault" : "quiet"}">
        ${isRefused
          ? html`<span role="alert">Not sent: ${one.reason}</span>
              ${this.isBlocked || outbox.isHopeless(this.userId, one.listing_id !== null)
                ? nothing
                : html`<button class="link" @click=${() => outbox.again(one)}>Try again</button>
                    <button class="link" @click=${() => this.#edit(one)}>Edit</button>`}
              <button class="link" @click=${() => outbox.discard(one)}>Discard</button>`
          : state === "sending" && connection.isLive
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
      if (this.#chosen.isBusy) {
        this.done = "Wait until the pictures are uploaded.";
        this.update();
        return;
      }
      const pictures = this.#chosen.take();
      if (!text.trim() && !pictures.length) return;
      this.done = "";
      field.value = "";
      keepDraft(this.#draft, "");
      this.#followsEnd = true;
      inbox.send(this.userId, text, this.listing?.id ?? null, pictures);
      this.listing = null;
      this.#hasWritten = true;
      field.focus();
    };
    const keys = (event) => {
      // Enter sends, Shift+Enter begins a new line.
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      event.currentTarget.form.requestSubmit();
    };
    return html`<form class="composer" aria-label="Write a message" @submit=${send}>
      ${this.#offer()}
      <p class="done small-text" role="status">${this.done}</p>
      ${this.#chosen.template()}
      <div class="composer-row">
        ${this.#chosen.button()}
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

  /** Offers to tell of messages while the page is in the background, once something was written. */
  #offer() {
    if (!this.#hasWritten || !mayOfferNotifications()) return nothing;
    const answer = (work) => async () => {
      await work();
      this.update();
    };
    return html`<p class="offer small-text" id="offer">
      Be told of new messages when you are on another tab?
      <button type="button" class="link" @click=${answer(allowNotifications)}>Yes</button>
      <button type="button" class="link" @click=${answer(refuseNotifications)}>No</button>
    </p>`;
  }

  /** Puts a refused message back into the field, before the text that is there already. */
  #edit(one) {
    const field = document.querySelector(".composer textarea");
    field.value = [one.message, field.value].filter(Boolean).join("\n");
    keepDraft(this.#draft, field.value);
    if (one.pictures) this.#chosen.putBack(one.pictures);
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
    if (!field || field === this.#fieldWithDraft) return;
    this.#fieldWithDraft = field;
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

  async #block(isBlocked) {
    const path = `/api/users/${this.userId}/block`;
    this.done = "";
    try {
      await (isBlocked ? api.put(path) : api.delete(path));
      this.#isBlocked = isBlocked;
      inbox.blocked(this.userId, isBlocked);
    } catch (error) {
      // The dialog shows its own failures.
      if (isBlocked) throw error;
      this.done = Problem.of(error).message;
    }
    this.update();
  }
}

const BOXES = {
  inbox: { title: "Messages", empty: "No messages yet. Ask a seller about a car." },
  requests: { title: "Requests", empty: "No strangers ask to write to you." },
  declined: { title: "Declined", empty: "You have declined nobody." },
};

const CONTACTS = { link: "a link", phone: "a phone number", mail: "a mail address" };
const listed = (words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");
/** What a message says, in a list of conversations. */
const inWords = (message) => html`<bdi>${said(message)}</bdi>`;

/** What a stranger writes has no links. */
function bubble({ message }, isPlain = false) {
  if (!message) return nothing;
  return html`<p class="bubble user-text" dir="auto">${isPlain ? message : userText(message)}</p>`;
}

const shortened = (text) => ([...text].length > 60 ? `${[...text].slice(0, 59).join("")}…` : text);
/** The first letter of a name, which may begin with other signs. */
const initial = (user) => (/[\p{L}\p{N}]/u.exec(nameOf(user))?.[0] ?? "?").toUpperCase();
