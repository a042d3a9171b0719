// A channel of one view: joined when the connection is there, and left with the view.

export class LiveChannel {
  #forget = () => {};
  channel = null;

  /** `connection` is as in live.js; `joined(channel, joining)` is called with each channel that is joined. */
  constructor(connection, topic, joined) {
    this.connection = connection;
    this.topic = topic;
    this.joined = joined;
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
    const { channel, joining } = this.connection.join(this.topic);
    this.channel = channel;
    this.joined(channel, joining);
  }
}
