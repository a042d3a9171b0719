// Keeps the connection of a phoenix.js Socket: limits how often it connects, falls back to long polling, detects a dead
// one.

import { sendInOrder, surviveForeignAnswers, understandTokenFunction } from "./phoenix_repairs.js"

/**
 * Closes for reasons other than a message: a restart, an ended session, a busy server. 3410 ends a long-poll session.
 */
const OUTAGE_CODES = new Set([1001, 1005, 1012, 1013, 1014, 3410])
/** Delay before the n-th connect in a row. Unlike in phoenix.js, only a good connection resets n, not each open. */
const PACE_MS = [10, 50, 100, 150, 200, 250, 500, 1_000, 2_000]
const SLOW_PACE_MS = 5_000
/** A connection that lasted at least this long was a good one. */
const GOOD_MS = 10_000
/**
 * MAX_CUTS WebSockets in a row that end within this time without a close code: something on the way cuts WebSockets.
 */
const CUT_MS = 5_000
const MAX_CUTS = 3
const CUT_CODES = new Set([undefined, 1005, 1006])
/** Without an answer to a heartbeat, or an open connection, within these times, the client connects again. */
const PONG_MS = 5_000
const CONNECT_MS = 10_000
/** phoenix.js sends no heartbeats on long polls. This module sends one after so long without a message. */
const QUIET_MS = 10_000
const LOOK_MS = 1_000
/** A look that comes this late shows that the computer slept: the connection may have ended unnoticed. */
const SLEPT_MS = 10_000
/** Browsers run the timers of a hidden page only once a minute. */
const HIDDEN_SLEPT_MS = 90_000

/**
 * Keeps the connection of a phoenix.js Socket. It adds what phoenix.js from 1.6 on lacks:
 * - a pace of connects that holds whatever the server does;
 * - a fallback to long polling when WebSockets are cut repeatedly;
 * - checks that the connection really is in the state that phoenix.js believes.
 *
 * Each socket has one Line: `Line.of(socket)`.
 */
export class Line {
  static #lines = new WeakMap()

  static of(socket) {
    if (!Line.#lines.has(socket)) Line.#lines.set(socket, new Line(socket))
    return Line.#lines.get(socket)
  }

  /** Whether to fall back to long polling. By default: if the socket was given `longPollFallbackMs`. */
  fallsBack
  #socket
  #listeners = new Set()
  #tries = 0
  #dueAt = 0
  #openedAt = null
  #heardAt = 0
  #cuts = 0
  /** True while phoenix.js closes the WebSocket because a heartbeat was not answered. */
  #isGivenUp = false
  #probe = null
  #seen = { conn: null, state: "closed", since: 0 }
  #isUsed = false
  #lookedAt = Date.now()
  #timer = null

  constructor(socket) {
    this.#socket = socket
    this.fallsBack = Boolean(socket.longPollFallbackMs)
    this.#keepPace()
    this.#watchHeartbeatTimeout()
    understandTokenFunction(socket)
    const LongPoll = socket.getLongPollTransport?.()
    if (LongPoll) {
      surviveForeignAnswers(LongPoll)
      sendInOrder(LongPoll)
    }
    socket.onOpen(() => this.#opened())
    socket.onClose((event) => this.#closed(event?.code))
    socket.onMessage(() => (this.#heardAt = Date.now()))
  }

  /**
   * A listener has `opened()` and `broke({mayBeOurs, wasShort})`; `broke` returns whether one of its messages may be
   * the cause.
   */
  add(listener) {
    this.#listeners.add(listener)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    // In Node, this timer alone does not keep the process running.
    this.#timer.unref?.()
  }

  remove(listener) {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  get isLongPoll() {
    const LongPoll = this.#socket.getLongPollTransport?.()
    return LongPoll !== undefined && this.#socket.transport === LongPoll
  }

  /** Resolves with whether the server answers a heartbeat. If it does not, the connection is replaced. */
  isAlive() {
    const conn = this.#socket.conn
    // A question on the connection before says nothing of this one.
    if (!this.#probe || this.#probe.conn !== conn) this.#probe = { conn, answer: this.#ask(conn) }
    return this.#probe.answer
  }

  #ask(conn) {
    return new Promise((resolve) => {
      const answered = (isAlive) => {
        clearTimeout(timer)
        if (this.#probe?.conn === conn) this.#probe = null
        resolve(isAlive)
      }
      const timer = setTimeout(() => {
        answered(false)
        if (this.#socket.conn === conn && this.#socket.isConnected()) this.#reconnect()
      }, PONG_MS)
      this.#socket.ping(() => answered(true))
    })
  }

  /** Gives `reconnectAfterMs` a count of tries that an open does not reset. It can only make the pace slower. */
  #keepPace() {
    const timer = this.#socket.reconnectTimer
    if (!timer) return
    const asked = timer.timerCalc
    timer.timerCalc = (tries) => {
      const now = Date.now()
      if (this.#openedAt !== null && now - this.#openedAt >= GOOD_MS) this.#tries = 0
      const pace = PACE_MS[this.#tries] ?? SLOW_PACE_MS
      this.#tries += 1
      const wait = Math.max(pace, asked(Math.max(tries, this.#tries)))
      this.#dueAt = now + wait
      return wait
    }
  }

  /** Remembers that phoenix.js gave the connection up. Its close then has code 1000, like one that the server began. */
  #watchHeartbeatTimeout() {
    const socket = this.#socket
    const giveUp = socket.heartbeatTimeout
    if (typeof giveUp !== "function") return
    socket.heartbeatTimeout = () => {
      this.#isGivenUp = Boolean(socket.pendingHeartbeatRef)
      giveUp.call(socket)
    }
  }

  #opened() {
    this.#openedAt = this.#heardAt = Date.now()
    this.#isGivenUp = false
    for (const listener of [...this.#listeners]) listener.opened()
  }

  #closed(code) {
    const lasted = this.#openedAt === null ? null : Date.now() - this.#openedAt
    this.#openedAt = null
    const isGivenUp = this.#isGivenUp || this.#socket.closeWasClean
    this.#isGivenUp = false
    // Some versions do not connect again after 1000. `#dueAt` in the future means that phoenix.js does.
    if (code === 1000 && !isGivenUp && this.#dueAt <= Date.now()) this.#socket.reconnectTimer?.scheduleTimeout?.()
    const mayBeOurs = lasted !== null && !isGivenUp && !this.#isOutage(code)
    const how = { mayBeOurs, wasShort: lasted < GOOD_MS }
    const isOurs = [...this.#listeners].filter((listener) => listener.broke(how)).length > 0
    if (lasted === null || isOurs || this.isLongPoll) return
    this.#cuts = lasted < CUT_MS && CUT_CODES.has(code) ? this.#cuts + 1 : 0
    if (this.#cuts >= MAX_CUTS && this.fallsBack) this.#fallBack()
  }

  /** A WebSocket without a close code may have ended because of a message; a long poll that ends so got no answer. */
  #isOutage(code) {
    if (this.isLongPoll) return OUTAGE_CODES.has(code) || code === 1000
    return OUTAGE_CODES.has(code) && code !== 1005
  }

  #fallBack() {
    this.#cuts = 0
    this.#socket.replaceTransport(this.#socket.getLongPollTransport())
    this.#socket.connect()
  }

  /** Checks the connection, since phoenix.js may wait for an event that never comes. */
  #look() {
    const socket = this.#socket
    const now = Date.now()
    const isHidden = typeof document !== "undefined" && document.visibilityState === "hidden"
    const slept = now - this.#lookedAt > (isHidden ? HIDDEN_SLEPT_MS : SLEPT_MS)
    this.#lookedAt = now
    const state = socket.connectionState()
    if (socket.conn !== this.#seen.conn || state !== this.#seen.state) {
      this.#seen = { conn: socket.conn, state, since: now }
    }
    this.#isUsed ||= Boolean(socket.conn) || this.#dueAt > 0
    // The application never connected, or disconnected on purpose; or phoenix.js does not connect a hidden page.
    if (!this.#isUsed || socket.closeWasClean || (isHidden && state === "closed")) return
    if (state === "open") {
      if (slept || (this.isLongPoll && now - this.#heardAt > QUIET_MS)) this.isAlive()
    } else if (now - Math.max(this.#seen.since, this.#dueAt) > CONNECT_MS) {
      this.#reconnect()
    }
  }

  #reconnect() {
    this.#seen.since = Date.now()
    this.#socket.disconnect(() => this.#socket.connect())
  }
}
