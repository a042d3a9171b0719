// What the user is told of listings: the channel `alerts:{id}`, and how many alerts are new.
//
// The server counts the new alerts. After each join the page asks it for the number, and then counts what arrives live.

import { isolated } from "../isolate.js";

const ASK_AGAIN_MS = 3_000;
const KINDS = ["match", "price_drop", "sold", "removed", "ended", "ends", "reply"];

/** Returns in one sentence what an alert says. */
export function sentenceOf({ kind, title: given, search, reply }) {
  const title = isolated(given);
  if (kind === "match") return `New for “${isolated(search.name)}”: ${title}`;
  if (kind === "reply") return `${isolated(reply.author.name)} replied to ${title}: ${reply.text}`;
  if (kind === "price_drop") return `Cheaper now: ${title}`;
  if (kind === "ended") return `Has ended: ${title}`;
  if (kind === "ends") return `Your listing ends soon: ${title}`;
  return kind === "sold" ? `Sold: ${title}` : `No longer available: ${title}`;
}

export class Alerts {
  unseen = 0;
  #connection;
  #api;
  #announce;
  #notify;
  #channel = null;
  /** The greatest id that this page has; null before the server was asked. */
  #newest = null;
  /** Alerts with greater ids are not in the server's count. */
  #counted = 0;
  #known = new Set();
  #askAgain = null;
  #listeners = [];
  #newsListeners = new Set();

  /**
   * `connection.join` joins a topic, `api.get` reads by REST, `announce(text)` speaks to screen readers, and
   * `notify(alert)` may show a notification.
   */
  constructor({ connection, api, announce, notify = () => {} }) {
    this.#notify = notify;
    this.#connection = connection;
    this.#api = api;
    this.#announce = announce;
  }

  /** `listener()` is called when the number of new alerts has changed. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** `listener(alert)` is called with each alert that arrives. Returns a function that ends this. */
  onNews(listener) {
    this.#newsListeners.add(listener);
    return () => this.#newsListeners.delete(listener);
  }

  open(userId) {
    const afterId = () => (this.#newest === null ? {} : { after_id: this.#newest });
    const { channel, joining } = this.#connection.join(`alerts:${userId}`, afterId);
    this.#channel = channel;
    joining.receive("ok", ({ alerts = [] }) => {
      for (const alert of alerts) this.#received(alert, false);
      // The channel is subscribed: an alert that is in no answer arrives as an event.
      this.#ask();
    });
    for (const kind of KINDS) channel.on(kind, (alert) => this.#received(alert, true));
    channel.on("seen", ({ unseen }) => this.#count(unseen));
  }

  close() {
    clearTimeout(this.#askAgain);
    const channel = this.#channel;
    this.#channel = null;
    if (channel && this.#connection.isKept) channel.leave();
    this.#newest = null;
    this.#counted = 0;
    this.#known.clear();
    this.unseen = 0;
  }

  /** Marks the alerts as seen, up to this one. */
  async see(upTo) {
    const { unseen } = await this.#api.put("/api/alerts/seen", { up_to: upTo });
    this.#count(unseen);
  }

  async #ask() {
    const channel = this.#channel;
    try {
      const { data, unseen } = await this.#api.get("/api/alerts", { query: { limit: 1 } });
      if (channel !== this.#channel) return;
      this.#counted = data[0]?.id ?? 0;
      this.#newest = Math.max(this.#newest ?? 0, this.#counted);
      // What has arrived after this answer was made is counted already.
      this.#count(unseen + [...this.#known].filter((id) => id > this.#counted).length);
    } catch {
      clearTimeout(this.#askAgain);
      this.#askAgain = setTimeout(() => channel === this.#channel && this.#ask(), ASK_AGAIN_MS);
    }
  }

  #received(alert, isLive) {
    if (this.#known.has(alert.id)) return;
    this.#known.add(alert.id);
    this.#newest = Math.max(this.#newest ?? 0, alert.id);
    if (isLive) {
      if (alert.id > this.#counted) this.#count(this.unseen + 1);
      this.#announce(sentenceOf(alert));
      this.#notify(alert);
    }
    for (const listener of this.#newsListeners) listener(alert);
  }

  #count(unseen) {
    this.unseen = unseen;
    for (const listener of this.#listeners) listener();
  }
}
