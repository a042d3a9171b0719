// Stands for a Socket of phoenix.js with the server behind it. A test says what the server does.

class Push {
  hooks = {};

  receive(status, hook) {
    this.hooks[status] = hook;
    return this;
  }

  answer(status, response = {}) {
    this.hooks[status]?.(response);
  }
}

class Channel {
  events = {};
  pushes = [];
  joining = new Push();
  hasLeft = false;

  constructor(socket, topic, params) {
    Object.assign(this, { socket, topic, params });
  }

  on(event, hook) {
    this.events[event] = hook;
  }

  onError(hook) {
    this.events.error = hook;
  }

  onClose(hook) {
    this.events.close = hook;
  }

  join() {
    return this.joining;
  }

  leave() {
    this.hasLeft = true;
    this.socket.channels = this.socket.channels.filter((one) => one !== this);
  }

  push(event, payload) {
    const push = Object.assign(new Push(), { event, payload });
    this.pushes.push(push);
    return push;
  }

  /** The texts of the sent messages. */
  get texts() {
    return this.pushes.filter(({ event }) => event === "send").map(({ payload }) => payload.message);
  }
}

export class Socket {
  channels = [];
  conn = null;
  closeWasClean = false;
  connects = 0;
  pings = [];
  transport = "WebSocket";
  reconnectTimer;
  #state = "closed";
  #hooks = { open: [], close: [], message: [] };

  constructor({ longPollFallbackMs, reconnectAfterMs = () => 10 } = {}) {
    this.longPollFallbackMs = longPollFallbackMs;
    this.reconnectTimer = { timerCalc: reconnectAfterMs };
  }

  onOpen(hook) {
    this.#hooks.open.push(hook);
  }

  onClose(hook) {
    this.#hooks.close.push(hook);
  }

  onMessage(hook) {
    this.#hooks.message.push(hook);
  }

  channel(topic, params) {
    this.channels.push(new Channel(this, topic, params));
    return this.channels.at(-1);
  }

  connectionState() {
    return this.#state;
  }

  isConnected() {
    return this.#state === "open";
  }

  ping(answered) {
    this.pings.push(answered);
  }

  heartbeatTimeout() {
    this.breaks(1000);
  }

  getLongPollTransport() {
    return LongPoll;
  }

  replaceTransport(transport) {
    this.transport = transport;
  }

  connect() {
    this.connects += 1;
    this.conn = {};
    this.#state = "connecting";
  }

  disconnect(then) {
    this.conn = null;
    this.#state = "closed";
    then?.();
  }

  // What the server does

  opens() {
    this.conn ??= {};
    this.#state = "open";
    for (const hook of this.#hooks.open) hook();
  }

  /** The connection breaks. Like phoenix.js, this tells the channels first. */
  breaks(code) {
    this.conn = null;
    this.#state = "closed";
    for (const channel of this.channels) channel.events.error?.();
    for (const hook of this.#hooks.close) hook({ code });
  }

  /** The newest channel. */
  get last() {
    return this.channels.at(-1);
  }

  /** The server answers the newest join with these messages. */
  joined(messages = [], complete = true, more = {}) {
    this.last.joining.answer("ok", { messages, complete, ...more });
  }

  hears(event, payload) {
    this.last.events[event](payload);
  }
}

export class LongPoll {
  ajax() {}
}
