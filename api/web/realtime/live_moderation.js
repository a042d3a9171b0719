// Follows the channel `moderation`, on which moderators hear what is reported, done and objected to.

export class LiveModeration {
  channel = null;
  #forget = () => {};

  /**
   * `connection` is as in live.js; `on` has a listener for each event. `readAgain()` is called when events may have been missed,
   * `joined()` after each join, and `follow(presence)` is given who is present in the channel.
   */
  constructor({ connection, on, readAgain, joined = () => {}, follow }) {
    this.connection = connection;
    this.on = { look_again: readAgain, ...on };
    this.tell = { readAgain, joined, follow };
  }

  start() {
    if (this.connection.isKept) this.#join();
    this.#forget = this.connection.onOpen(() => this.channel || this.#join());
  }

  stop() {
    this.#forget();
    const channel = this.channel;
    this.channel = null;
    if (channel && this.connection.isKept) channel.leave();
  }

  #join() {
    const { channel, joining } = this.connection.join("moderation");
    this.channel = channel;
    let isFirst = true;
    joining.receive("ok", () => {
      // Something may have happened while there was no connection. The first join is part of the first load.
      if (!isFirst) this.tell.readAgain();
      isFirst = false;
      this.tell.joined();
    });
    for (const [event, listener] of Object.entries(this.on)) channel.on(event, listener);
    this.tell.follow?.(this.connection.presence(channel));
  }
}
