// The page's only connection to the gateway, through the Phoenix client, and its state in words for people.

import { Line, PrivateChat } from "../../../clients/javascript/private_chat/index.js";
import { parsed } from "../isolate.js";
import { session } from "../session.js";
import { LongPoll, Presence, Socket } from "../vendor/phoenix/phoenix.mjs";

/** If no WebSocket has opened within this time, the connection falls back to long polling. */
const LONGPOLL_FALLBACK_MS = 2_500;
/** If WebSockets have worked before, the connection falls back only after it was lost for this long. */
const WEBSOCKET_TRIED_MS = 15_000;
/** While WebSockets do not work, they are tried again after this time; it doubles each time, up to the second value. */
const WEBSOCKET_AGAIN_MS = 60_000;
const WEBSOCKET_AGAIN_AT_MOST_MS = 30 * 60_000;

/** Where phoenix.js remembers in a tab that WebSockets did not work. */
const MEMORY = "phx:fallback:LongPoll";

const ENDPOINT = document
  .querySelector('meta[name="socket"]')
  .content.replace(/^http/, "ws");

/** Reads a frame of version 2 of the protocol as phoenix.js does, with people's text contained. */
function messageOf(frame) {
  const [join_ref, ref, topic, event, payload] = parsed(frame);
  return { join_ref, ref, topic, event, payload };
}

class Connection {
  #socket = null;
  #listeners = [];
  #line = null;
  #hadWebSocket = false;
  #webSocketSince = 0;
  #againMs = WEBSOCKET_AGAIN_MS;
  #timer = null;
  /** "off" (a visitor), "connecting", "live", "lost". */
  state = "off";

  constructor() {
    // The old connection may go over a network that this device has left. Not every browser tells of such a change.
    window.addEventListener("online", () => this.#moved());
    navigator.connection?.addEventListener?.("change", () => this.#check());
    window.addEventListener("offline", () => this.#offline());
    // While the page was hidden, or the computer slept, timers stood still.
    window.addEventListener("pageshow", () => this.#check());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#check());
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  get isLive() {
    return this.state === "live";
  }

  /** True while a user is logged in: for visitors there is no connection. */
  get isKept() {
    return this.#socket !== null;
  }

  get isLongPoll() {
    return this.#socket !== null && this.#socket.transport === LongPoll;
  }

  get words() {
    if (this.state === "lost") return navigator.onLine ? "Reconnecting…" : "You are offline.";
    if (this.state === "connecting") return "Connecting…";
    return this.isLongPoll ? "Connected (slower)" : "Connected";
  }

  open() {
    this.#become("connecting");
    const socket = new Socket(ENDPOINT, {
      sessionStorage: memoryOfTab(),
      // phoenix.js calls this at each connect, and sends the token in a header: addresses end up in logs.
      authToken: () => session.token ?? "",
      longPollFallbackMs: LONGPOLL_FALLBACK_MS,
      decode: (frame, callback) => callback(messageOf(frame)),
    });
    this.#socket = socket;
    // Line limits how often the socket connects, detects dead connections, and falls back when WebSockets are cut.
    this.#line = Line.of(socket);
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
      // The session may have ended. Or the token has expired, and the next attempt needs a new one.
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
    this.#socket = this.#line = null;
    socket?.disconnect();
    this.#become("off");
  }

  /** Opens the private chat of the logged-in user; for the options see PrivateChat. */
  chat(userId, options) {
    return new PrivateChat(this.#socket, userId, options);
  }

  /** Joins a channel now, and again after each loss. `params` may be a function, which is called at each join. */
  join(topic, params = {}) {
    const channel = this.#socket.channel(topic, params);
    return { channel, joining: channel.join() };
  }

  /** Follows who is present in a channel. */
  presence(channel) {
    return new Presence(channel);
  }

  /** Sends the new token to the gateway, so that the connection outlives the old token. */
  useToken(token) {
    const channel = this.#socket?.channels.find((one) => one.state === "joined");
    channel?.push("access_token", { access_token: token });
  }

  /**
   * phoenix.js alone would fall back at the first failure, for example when one server restarts, and never come back.
   */
  #opened(socket) {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.isLongPoll) {
      this.#hadWebSocket = true;
      this.#webSocketSince = Date.now();
      socket.longPollFallbackMs = 0;
    } else {
      this.#timer = setTimeout(() => {
        this.#againMs = Math.min(2 * this.#againMs, WEBSOCKET_AGAIN_AT_MOST_MS);
        forgetFallback();
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
    const socket = this.#socket;
    socket.disconnect(() => socket === this.#socket && socket.connect());
  }

  #moved() {
    if (this.state === "lost") this.#again();
    else this.#check();
    this.#tell();
  }

  /** The browser says so at once; the connection itself would show it only when a heartbeat stays without an answer. */
  async #offline() {
    const socket = this.#socket;
    if (!socket || this.state !== "live") return this.#tell();
    this.#become("lost");
    // Some browsers are wrong: a server may be on this very machine, or behind a network that they do not know.
    if ((await this.#line.isAlive()) && socket === this.#socket && socket.isConnected()) this.#become("live");
  }

  /** Connects now if there is no connection, and otherwise asks the server for a sign of life. */
  #check() {
    if (!this.#socket) return;
    if (this.#socket.isConnected()) this.#line.isAlive();
    else this.#again();
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

/** Returns sessionStorage; where the browser refuses even to name it, what lasts as long as the page. */
function memoryOfTab() {
  try {
    return sessionStorage;
  } catch {
    const kept = new Map();
    return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  }
}

function forgetFallback() {
  try {
    sessionStorage.removeItem(MEMORY);
  } catch {
    // Without storage, phoenix.js has nothing to remember it in.
  }
}

export const connection = new Connection();
