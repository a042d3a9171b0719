// The connection of a Socket of phoenix.js: a pace that holds, a fall back to long polling, and a second look.

import { sendInOrder, surviveForeignAnswers, understandTokenFunction } from "./phoenix_repairs.js"

/** The server goes, or the session does, or it is busy: most often no message is the cause. 3410 ends a long poll's session. */
const OUTAGE_CODES = new Set([1001, 1005, 1012, 1013, 1014, 3410])
/** Before the n-th connect in a row; as phoenix.js does it, but it begins anew whenever a connection opens. */
const PACE_MS = [10, 50, 100, 150, 200, 250, 500, 1_000, 2_000]
const SLOW_PACE_MS = 5_000
/** A connection that lasted so long was a good one. */
const GOOD_MS = 10_000
/** WebSockets that end sooner than that, so many in a row, without a word, are cut by something on the way. */
const CUT_MS = 5_000
const MAX_CUTS = 3
const CUT_CODES = new Set([undefined, 1005, 1006])
/** A server that has not answered a heartbeat, or a connect, by then does not. */
const PONG_MS = 5_000
const CONNECT_MS = 10_000
/** Long polling has no heartbeats of phoenix.js's own: after so long without a word there is one. */
const QUIET_MS = 10_000
const LOOK_MS = 1_000

/**
 * The connection of a Socket of phoenix.js, with what its versions from 1.6 on lack: a pace that holds whatever the
 * server does, a fall back to long polling from WebSockets that are cut over and over, and somebody who looks whether
 * the connection is what phoenix.js takes it for. One for each socket: `Line.of(socket)`.
 */
export class Line {
  static #lines = new WeakMap()

  static of(socket) {
    if (!Line.#lines.has(socket)) Line.#lines.set(socket, new Line(socket))
    return Line.#lines.get(socket)
  }

  /** Whether to fall back to long polling; by itself, where the socket was told to (`longPollFallbackMs`). */
  fallsBack
  #socket
  #listeners = new Set()
  #tries = 0
  #dueAt = 0
  #openedAt = null
  #heardAt = 0
  #cuts = 0
  /** phoenix.js closes the WebSocket, since a heartbeat was not answered. */
  #isGivenUp = false
  #probe = null
  #seen = { conn: null, state: "closed", since: 0 }
  #isUsed = false
  #timer = null

  constructor(socket) {
    this.#socket = socket
    this.fallsBack = Boolean(socket.longPollFallbackMs)
    this.#keepPace()
    this.#seeGivingUp()
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

  /** A listener has `opened()`, and `broke({mayBeOurs, wasShort})`, which returns whether it may be the cause. */
  add(listener) {
    this.#listeners.add(listener)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    // In Node, what only looks on keeps no process running.
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

  /** Whether the server answers a heartbeat. If it does not, the connection is replaced. */
  isAlive() {
    this.#probe ??= new Promise((resolve) => {
      const conn = this.#socket.conn
      const answered = (isAlive) => {
        clearTimeout(timer)
        this.#probe = null
        resolve(isAlive)
      }
      const timer = setTimeout(() => {
        answered(false)
        if (this.#socket.conn === conn && this.#socket.isConnected()) this.#reconnect()
      }, PONG_MS)
      this.#socket.ping(() => answered(true))
    })
    return this.#probe
  }

  /** `reconnectAfterMs` is asked with tries that do not begin anew at each open; it can only make the pace slower. */
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

  /** The close has code 1000 then, as one that the server began may have. */
  #seeGivingUp() {
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
    // Some versions take this code for the end; when phoenix.js does connect again, the pace was asked already.
    if (code === 1000 && !isGivenUp && this.#dueAt <= Date.now()) this.#socket.reconnectTimer?.scheduleTimeout?.()
    const mayBeOurs = lasted !== null && !isGivenUp && !this.#isOutage(code)
    const how = { mayBeOurs, wasShort: lasted < GOOD_MS }
    const isOurs = [...this.#listeners].filter((listener) => listener.broke(how)).length > 0
    if (lasted === null || isOurs || this.isLongPoll) return
    this.#cuts = lasted < CUT_MS && CUT_CODES.has(code) ? this.#cuts + 1 : 0
    if (this.#cuts >= MAX_CUTS && this.fallsBack) this.#fallBack()
  }

  /** A WebSocket that ends without a code may have ended over a message; a long poll that does got no answer. */
  #isOutage(code) {
    if (this.isLongPoll) return OUTAGE_CODES.has(code) || code === 1000
    return OUTAGE_CODES.has(code) && code !== 1005
  }

  #fallBack() {
    this.#cuts = 0
    this.#socket.replaceTransport(this.#socket.getLongPollTransport())
    this.#socket.connect()
  }

  /** What phoenix.js waits for may never come. */
  #look() {
    const socket = this.#socket
    const now = Date.now()
    const state = socket.connectionState()
    if (socket.conn !== this.#seen.conn || state !== this.#seen.state) {
      this.#seen = { conn: socket.conn, state, since: now }
    }
    const isHidden = typeof document !== "undefined" && document.visibilityState === "hidden"
    this.#isUsed ||= Boolean(socket.conn) || this.#dueAt > 0
    // Not connected yet, or disconnected on purpose; or by phoenix.js, which does not connect a page that nobody sees.
    if (!this.#isUsed || socket.closeWasClean || (isHidden && state === "closed")) return
    if (state === "open") {
      if (this.isLongPoll && now - this.#heardAt > QUIET_MS) this.isAlive()
    } else if (now - Math.max(this.#seen.since, this.#dueAt) > CONNECT_MS) {
      this.#reconnect()
    }
  }

  #reconnect() {
    this.#seen.since = Date.now()
    this.#socket.disconnect(() => this.#socket.connect())
  }
}
