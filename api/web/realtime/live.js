// What is live for somebody who is logged in: the connection, the inbox and the alerts. Their script comes by itself; until it
// is here, and for visitors, this module says what there is to say.

import { bringScript, scriptHere } from "../later_scripts.js";
import { update } from "../page.js";
import { session } from "../session.js";
import { isUpgraded, lookForUpgrade } from "../upgrade.js";

/** If the script cannot be loaded, it is tried again after this time, which doubles up to the second value. */
const AGAIN_MS = 4_000;
const AGAIN_AT_MOST_MS = 60_000;

class Live {
  /** What the script exports; null until it is here. */
  #parts = null;
  /** The id of the person for whom everything is open; null for nobody. */
  #openFor = null;
  #listeners = new Set();
  #again = null;
  #againMs = AGAIN_MS;

  constructor() {
    window.addEventListener("online", () => this.#again && this.start());
  }

  /** True while a logged-in person has a connection, which may be lost for a while. */
  get isKept() {
    return this.#openFor !== null;
  }

  get unread() {
    return this.#parts?.inbox.unread ?? 0;
  }

  get unseen() {
    return this.#parts?.alerts.unseen ?? 0;
  }

  get connection() {
    return this.isKept ? this.#parts.connection : { state: "connecting", isLongPoll: false, words: "Connecting…" };
  }

  /** What the person has to read before anything else. */
  warnings() {
    return this.#parts?.warnings.template() ?? "";
  }

  /** Opens everything for the person who is logged in, and tries again until that works. */
  async start() {
    clearTimeout(this.#again);
    this.#again = null;
    try {
      await this.open();
    } catch {
      // A page of another version offers the new one; this one's script is gone.
      if (!session.user || isUpgraded()) return;
      this.#again = setTimeout(() => this.start(), this.#againMs);
      this.#againMs = Math.min(2 * this.#againMs, AGAIN_AT_MOST_MS);
    }
  }

  /** Does so once, and resolves with what the script exports. Throws Problem if it cannot be loaded. */
  async open() {
    const parts = scriptHere("users") ?? (await bringScript("users"));
    this.#begin(parts);
    return parts;
  }

  close() {
    clearTimeout(this.#again);
    this.#again = null;
    if (!this.isKept) return;
    this.#openFor = null;
    const { alerts, connection, inbox } = this.#parts;
    inbox.close();
    alerts.close();
    connection.close();
  }

  /** The session is over, on the server too. */
  ended() {
    this.#parts?.loggedOut();
  }

  /** `listener()` is called when a connection is opened. Returns a function that ends this. */
  onOpen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  join(topic) {
    return this.#parts.connection.join(topic);
  }

  presence(channel) {
    return this.#parts.connection.presence(channel);
  }

  useToken(token) {
    this.#parts?.connection.useToken(token);
  }

  #begin(parts) {
    const { alerts, connection, inbox, keepUp } = parts;
    if (!this.#parts) {
      this.#parts = parts;
      // An upgrade restarts the servers, so the connection is lost and comes back. Visitors have none.
      connection.onChange(() => connection.isLive && lookForUpgrade());
      for (const one of [connection, inbox, alerts]) one.onChange(update);
    }
    const { user } = session;
    if (!user || this.#openFor === user.id) return;
    this.#openFor = user.id;
    this.#againMs = AGAIN_MS;
    connection.open();
    inbox.open(user.id);
    alerts.open(user.id);
    keepUp();
    for (const listener of this.#listeners) listener();
    update();
  }
}

export const live = new Live();
