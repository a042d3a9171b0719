// The one connection to the gateway, by the official Phoenix client, and how it stands, in words that people see.

import { Line, PrivateChat } from "../../../clients/javascript/private_chat/index.js";
import { session } from "../session.js";
import { LongPoll, Socket } from "../vendor/phoenix/phoenix.mjs";

/** Without a WebSocket by then, long polling takes over. */
const LONGPOLL_FALLBACK_MS = 2_500;
/** Where WebSockets did work before, a lost connection is no reason for long polling until so long has passed, */
const WEBSOCKET_TRIED_MS = 15_000;
/** and they are tried again so long after it did take over, each time later where they do not last. */
const WEBSOCKET_AGAIN_MS = 60_000;
const WEBSOCKET_AGAIN_AT_MOST_MS = 30 * 60_000;

const ENDPOINT = document
  .querySelector('meta[name="socket"]')
  .content.replace(/^http/, "ws");

class Connection {
  #socket = null;
  #listeners = [];
  #hadWebSocket = false;
  #webSocketSince = 0;
  #againMs = WEBSOCKET_AGAIN_MS;
  #timer = null;
  /** "off" (a visitor), "connecting", "live", "lost". */
  state = "off";

  constructor() {
    window.addEventListener("online", () => this.#again());
    window.addEventListener("offline", () => this.#tell());
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  get isLive() {
    return this.state === "live";
  }

  /** Whether somebody is logged in, for whom it is kept. */
  get isKept() {
    return this.#socket !== null;
  }

  get isLongPoll() {
    return this.#socket !== null && this.#socket.transport === LongPoll;
  }

  get words() {
    if (this.state === "lost") return navigator.onLine ? "Reconnecting…" : "You are offline";
    if (this.state === "connecting") return "Connecting…";
    return this.isLongPoll ? "Connected (slower)" : "Connected";
  }

  open() {
    this.#become("connecting");
    const socket = new Socket(ENDPOINT, {
      // In a header, not in the address, which ends up in logs. Asked again at each connection.
      authToken: () => session.token ?? "",
      longPollFallbackMs: LONGPOLL_FALLBACK_MS,
    });
    this.#socket = socket;
    // How often it connects, whether what phoenix.js takes for a connection is one, when WebSockets are no use.
    Line.of(socket);
    const isCurrent = () => this.#socket === socket;
    socket.onOpen(() => {
      if (!isCurrent()) return;
      this.#opened(socket);
      this.#become("live");
    });
    const lost = () => {
      if (!isCurrent()) return;
      this.#lost(socket);
      this.#become("lost");
      // Perhaps the session has ended; or the token has, and the next attempt needs a fresh one.
      session.check();
    };
    socket.onError(lost);
    socket.onClose(lost);
    socket.connect();
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.disconnect();
    this.#become("off");
  }

  /** The private chat of the user who is logged in; the options are those of PrivateChat. */
  chat(userId, options) {
    return new PrivateChat(this.#socket, userId, options);
  }

  /** Joined at once, and again after each loss. `params` may be a function, asked at each join. */
  join(topic, params = {}) {
    const channel = this.#socket.channel(topic, params);
    return { channel, joining: channel.join() };
  }

  /** The token changed: tell the gateway, so that the connection outlives the old one. */
  useToken(token) {
    const channel = this.#socket?.channels.find((one) => one.state === "joined");
    channel?.push("access_token", { access_token: token });
  }

  /** By itself, phoenix.js falls back at the first refusal, as when one server is restarted, and stays there. */
  #opened(socket) {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.isLongPoll) {
      this.#hadWebSocket = true;
      this.#webSocketSince = Date.now();
      socket.longPollFallbackMs = 0;
    } else if (this.#hadWebSocket) {
      this.#timer = setTimeout(() => {
        this.#againMs = Math.min(2 * this.#againMs, WEBSOCKET_AGAIN_AT_MOST_MS);
        socket.replaceTransport(WebSocket);
        socket.connect();
      }, this.#againMs);
    }
  }

  #lost(socket) {
    if (this.isLongPoll || !this.#hadWebSocket) return;
    if (Date.now() - this.#webSocketSince > WEBSOCKET_AGAIN_MS) this.#againMs = WEBSOCKET_AGAIN_MS;
    this.#timer ??= setTimeout(() => {
      socket.longPollFallbackMs = LONGPOLL_FALLBACK_MS;
    }, WEBSOCKET_TRIED_MS);
  }

  #again() {
    if (this.#socket && !this.#socket.isConnected()) {
      this.#socket.disconnect(() => this.#socket?.connect());
    }
    this.#tell();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

export const connection = new Connection();
