// The messages with one other person: history by pages, live ones added, each once and in the order of their ids.

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

  /** Whether it was new. A message can come twice: live, by history, by catching up. */
  add(message) {
    if (this.#ids.has(message.id)) return false;
    this.#ids.add(message.id);
    const place = this.messages.findLastIndex((one) => one.id < message.id) + 1;
    this.messages.splice(place, 0, message);
    return true;
  }

  /** The newest page, or the one before those that are there. */
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

  /** What has come since the history was read, if it was, where nobody was listening yet. */
  async loadNewest() {
    if (!this.isLoaded && !this.isLoading) return;
    const page = await this.#api.get(`/api/conversations/${this.userId}/messages`, { query: { limit: PAGE } });
    for (const message of page.data) this.add(message);
  }

  /** `by` has read what the other wrote, up to that message. */
  read(by, upTo, at) {
    for (const message of this.messages) {
      if (message.to === by && message.id <= upTo) message.read_at ??= at;
    }
  }

  /** The newest message to me that I have not read; 0 if there is none. */
  newestUnread(me) {
    return this.messages.findLast((one) => one.to === me && one.from !== me && !one.read_at)?.id ?? 0;
  }
}
