// What happens to one open listing: told by its channel, or, without one, asked for now and then and on focus.

import { Presence } from "../vendor/phoenix/phoenix.mjs";

/** A listing that was hidden has to go from a visitor's page within 15 seconds. */
const ASK_EVERY_MS = 8_000;

export class LiveListing {
  /** Ids of the users who look at it now, as strings. */
  viewers = [];
  #channel = null;
  #isJoined = false;
  #timer = null;
  #onShow = () => document.visibilityState === "visible" && this.#ask();

  /**
   * `ask()` reads the listing again; `updated(listing)`, `reply(reply)`, `removed()` and `changed()` tell what happened,
   * `changed` of the viewers.
   */
  constructor(id, { connection, ask, updated, reply, removed, changed }) {
    this.id = id;
    this.connection = connection;
    this.tell = { ask, updated, reply, removed, changed };
  }

  start() {
    this.#timer = setInterval(() => {
      if (!this.#isJoined && document.visibilityState === "visible") this.#ask();
    }, ASK_EVERY_MS);
    window.addEventListener("focus", this.#onShow);
    document.addEventListener("visibilitychange", this.#onShow);
    if (this.connection.isKept) this.#join();
  }

  stop() {
    clearInterval(this.#timer);
    window.removeEventListener("focus", this.#onShow);
    document.removeEventListener("visibilitychange", this.#onShow);
    const channel = this.#channel;
    this.#channel = null;
    // A channel whose socket was closed with the session has nothing left to leave.
    if (channel && this.connection.isKept) channel.leave();
  }

  #join() {
    const { channel, joining } = this.connection.join(`listing:${this.id}`);
    this.#channel = channel;
    let isFirst = true;
    joining
      .receive("ok", () => {
        this.#isJoined = true;
        // While there was no connection something may have happened; before the first, nothing has been shown.
        if (!isFirst) this.#ask();
        isFirst = false;
      })
      .receive("error", () => this.#ask());
    channel.onError(() => {
      this.#isJoined = false;
    });
    channel.onClose(() => {
      if (channel !== this.#channel) return;
      this.#isJoined = false;
      // Closed by the server: because it may no longer be seen, or the role changed. Asking tells which.
      this.#ask();
    });
    channel.on("reply_created", (reply) => this.tell.reply(reply));
    channel.on("listing_updated", (listing) => {
      // Its id alone, where not everybody may see what it is like now.
      if (Object.keys(listing).length > 1) this.tell.updated(listing);
      else this.#ask();
    });
    channel.on("listing_removed", () => this.tell.removed());
    const presence = new Presence(channel);
    presence.onSync(() => {
      this.viewers = presence.list((key) => key);
      this.tell.changed();
    });
  }

  #ask() {
    this.tell.ask();
  }
}
