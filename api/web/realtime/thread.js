// The messages with one other person: history page by page, and live messages. Each is there once, in the order of ids.

const PAGE = 30;

export class Thread {
  messages = [];
  hasOlder = false;
  isLoaded = false;
  isLoading = false;
  #api;
  #ids = new Set();
  #cursor = null;

  constructor(userId, api) {
    this.userId = userId;
    this.#api = api;
  }

  /**
   * Returns whether the message was new. It can come several times: live, from history, and from catching up. One that waited
   * for a moderator comes again with another id when it is delivered, and takes its own place.
   */
  add(message) {
    if (message.was_id) {
      this.#ids.add(message.was_id);
      this.messages = this.messages.filter((one) => one.id !== message.was_id);
    }
    if (this.#ids.has(message.id)) {
      if (message.deleted_at) this.delete(message.id, message.deleted_at);
      return false;
    }
    this.#ids.add(message.id);
    const place = this.messages.findLastIndex((one) => one.id < message.id) + 1;
    this.messages.splice(place, 0, message);
    return true;
  }

  /** Loads the newest page, or the page before the oldest message that is loaded. */
  async loadOlder() {
    if (this.isLoading || (this.isLoaded && !this.hasOlder)) return;
    this.isLoading = true;
    try {
      const query = { limit: PAGE, cursor: this.#cursor };
      const page = await this.#api.get(`/api/conversations/${this.userId}/messages`, { query });
      for (const message of page.data) this.add(message);
      this.#cursor = page.next_cursor;
      this.hasOlder = page.next_cursor !== null;
      this.isLoaded = true;
    } finally {
      this.isLoading = false;
    }
  }

  /** Loads every page again that is loaded: messages may have been deleted. */
  async loadAgain() {
    const oldest = this.messages[0]?.id ?? Infinity;
    let cursor = null;
    do {
      const query = { limit: PAGE, cursor };
      const page = await this.#api.get(`/api/conversations/${this.userId}/messages`, { query });
      for (const message of page.data) if (message.id >= oldest) this.add(message);
      cursor = page.data.at(-1)?.id > oldest ? page.next_cursor : null;
    } while (cursor);
  }

  /** If the history was loaded, loads what has come since: the chat delivers only later messages. */
  async loadNewest() {
    if (!this.isLoaded && !this.isLoading) return;
    const page = await this.#api.get(`/api/conversations/${this.userId}/messages`, { query: { limit: PAGE } });
    for (const message of page.data) this.add(message);
  }

  /** Drops the text of a message that its sender has deleted. */
  delete(id, at) {
    const message = this.messages.find((one) => one.id === id);
    if (message) Object.assign(message, { message: "", deleted_at: at, pictures: undefined });
  }

  /** Notes that `by` has read the messages sent to them, up to the id `upTo`, at the time `at`. */
  read(by, upTo, at) {
    for (const message of this.messages) {
      if (message.to === by && message.id <= upTo && !message.held) message.read_at ??= at;
    }
  }

  /** Returns the id of the newest message to this user that is unread; 0 if there is none. */
  newestUnread(me) {
    return this.messages.findLast((one) => one.to === me && one.from !== me && !one.read_at)?.id ?? 0;
  }
}
