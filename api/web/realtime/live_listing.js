// Follows one open listing: by its channel, or by requests from time to time and on focus while there is no channel.

/** A listing that was hidden must be gone from a visitor's page within 15 seconds. */
const ASK_EVERY_MS = 8_000;
/** Many pages may be told at once to ask: each waits for a random part of this time. While events are lost, all are told again
 * and again: none asks more often than without a channel. */
const SPREAD_MS = 3_000;
/** A channel that the server has closed is not joined again at once: the answer to a request may be older than that. */
const CLOSED_MS = 1_000;

export class LiveListing {
  /** Ids of the users who look at it now, as strings. */
  viewers = [];
  #channel = null;
  #isJoined = false;
  #closedAt = 0;
  #timer = null;
  #soon = null;
  #toldAt = -Infinity;
  /** Whether events of the channel may have been missed, so that the replies have to be loaded too. */
  #hasMissed = false;
  #forget = () => {};
  #onShow = () => document.visibilityState === "visible" && this.#ask();

  /**
   * `connection` is as in live.js. Callbacks: `ask()` loads the listing again, `askAll()` its replies too. `updated(listing)`, `reply(reply)` and
   * `removed()` tell what happened to it. `changed()` is called when the viewers have changed.
   */
  constructor(id, { connection, ask, askAll, updated, reply, removed, changed }) {
    this.id = id;
    this.connection = connection;
    this.tell = { ask, askAll, updated, reply, removed, changed };
  }

  start() {
    this.#timer = setInterval(() => this.#isJoined || this.#onShow(), ASK_EVERY_MS);
    window.addEventListener("focus", this.#onShow);
    document.addEventListener("visibilitychange", this.#onShow);
    if (this.connection.isKept) this.#join();
    this.#forget = this.connection.onOpen(() => this.#channel || this.#join());
  }

  stop() {
    this.#forget();
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    window.removeEventListener("focus", this.#onShow);
    document.removeEventListener("visibilitychange", this.#onShow);
    const channel = this.#channel;
    this.#channel = null;
    // After the session has ended, the socket is closed, and there is nothing to leave.
    if (channel && this.connection.isKept) channel.leave();
  }

  /** To be called when the listing is there. It may have been removed before, and with it the channel. */
  follow() {
    if (!this.#channel && this.connection.isKept && Date.now() - this.#closedAt > CLOSED_MS) this.#join();
  }

  #join() {
    const { channel, joining } = this.connection.join(`listing:${this.id}`);
    this.#channel = channel;
    joining
      .receive("ok", () => {
        this.#isJoined = true;
        // Something may have changed since the listing was read, also before the first join.
        this.#ask();
      })
      .receive("error", () => this.#ask());
    channel.onError(() => {
      this.#hasMissed ||= this.#isJoined;
      this.#isJoined = false;
    });
    channel.onClose(() => {
      if (channel !== this.#channel) return;
      this.#channel = null;
      this.#closedAt = Date.now();
      this.#hasMissed ||= this.#isJoined;
      this.#isJoined = false;
      this.viewers = [];
      // The server closed the channel: the user may no longer see the listing, or their role changed. Load it to find
      // out.
      this.#ask();
    });
    channel.on("reply_created", (reply) => this.tell.reply(reply));
    channel.on("listing_updated", (listing) => {
      // The event has only the id if not every viewer may see the listing's new state, or if events may have been lost.
      if (Object.keys(listing).length > 1) this.tell.updated(listing);
      else {
        this.#hasMissed = true;
        this.#askSoon();
      }
    });
    channel.on("listing_removed", () => this.tell.removed());
    const presence = this.connection.presence(channel);
    presence.onSync(() => {
      this.viewers = presence.list((key) => key);
      this.tell.changed();
    });
  }

  /** A page that is hidden by then asks when it is shown. */
  #askSoon() {
    // Somebody may have set the clock back.
    const pause = Math.min(ASK_EVERY_MS, Math.max(0, this.#toldAt + ASK_EVERY_MS - Date.now()));
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.#toldAt = Date.now();
      this.#onShow();
    }, pause + Math.random() * SPREAD_MS);
  }

  #ask() {
    const { ask, askAll } = this.tell;
    // Before the next join, more may be missed.
    const hasMissed = this.#hasMissed && this.#isJoined;
    if (hasMissed) this.#hasMissed = false;
    (hasMissed ? askAll : ask)();
  }
}
