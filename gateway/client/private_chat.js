// How a client of private chat loses nothing, with the npm package `phoenix` (1.6 to 1.8). Needs neither a page nor Node.
//
//   import { Socket } from "phoenix"
//   import { PrivateChat, byRest } from "./private_chat.js"
//
//   const socket = new Socket("wss://HOSTNAME/socket", { authToken: () => token, longPollFallbackMs: 2500 })
//   const chat = new PrivateChat(socket, userId, {
//     afterId: 0,                                        // the greatest message id that this device has
//     onMessage: (message) => show(message),             // each message once, incoming and outgoing
//     readOn: byRest("https://HOSTNAME", () => token),   // optional
//   })
//   socket.connect()
//   const { id } = await chat.send({ to: "12", message: "Hey How are you" })
//
// What it does, and what any client has to do:
//
// 1. It joins with `after_id`, the greatest id up to which it has seen everything. phoenix.js asks for the parameters
//    at each join, so that every reconnect catches up from where this client stands. No connection: no loss.
// 2. An answer that is not `complete` is only a part. It reads on by REST, or joins again from the last id it got.
//    Messages that arrive live meanwhile are shown, but they lie behind the gap: `after_id` does not pass it before it
//    is closed.
// 3. A message may come more than once (catching up overlaps): by its id it is shown once. The ids are the order.
// 4. A send has a `client_ref`. When no answer came (the connection broke, the server was slow) it is sent again under
//    the same one after the next join: the server stores it once.
// 5. One message never stops the others. What the server cannot take is refused here; what breaks the connection is
//    found out, refused after three tries, and what is behind it goes out. An outage is no try.
// 6. The connection is kept, gently: never more than one connect a second for long, whatever the server does.
//
// Rule 5 is Outgoing, rule 6 is Line; the others are Topic. PrivateChat is what an application sees of them.

/** As the server counts: code points, not UTF-16 units. */
const MAX_TEXT_LENGTH = 4_000
const MAX_CLIENT_REF_LENGTH = 200
/** So often a message is given to a server that breaks the connection over it, or that stays silent about it alone. */
const MAX_TRIES = 3
/** phoenix.js before 1.8.6 sends all that meets in one request of long polling, and a server takes a hundred. */
const MAX_UNDER_WAY = 50
const RETRY_MS = 1_000
/** Longer than the server needs to find out that its database is away. */
const ANSWER_MS = 15_000
const REMEMBERED_IDS = 10_000

/** Reasons that pass: nothing is wrong with the message. */
const PASSING = new Set(["try again", "too many requests"])
/** The server goes, or the session does, or it is busy: no message is the cause. 3410 is the end of a long poll's session. */
const OUTAGE_CODES = new Set([1000, 1001, 1005, 1008, 1012, 1013, 1014, 3410])
/** What a server answers on a topic that it does not know as joined, as after a long poll's session was replaced. */
const FORGOTTEN = "unmatched topic"
const COULD_NOT_BE_SENT = "could not be sent"

/**
 * The message was not stored, and the same again would not be either. `reason` is the server's (`invalid message`,
 * `user not found`, `blocked`), or `could not be sent` when the connection broke over it three times, or `left`.
 * `errors` holds lists of sentences by field.
 */
export class SendRefused extends Error {
  constructor({ reason = COULD_NOT_BE_SENT, errors = {} } = {}) {
    super(reason)
    this.name = "SendRefused"
    this.reason = reason
    this.errors = errors
  }
}

export class PrivateChat {
  #topic
  #member
  #afterId
  #seen = new Set()
  /** What was unanswered then. */
  #left = null

  /**
   * `socket` is a Socket of phoenix.js. The options, none of which is needed:
   * `afterId`: a number, or its digits; with 0, or anything that is no id, the server tells everything from the beginning.
   * `onMessage(message)`: `{id, from, to, message, listing_id, inserted_at, read_at}`, each once.
   * `onCaughtUp()`: nothing is missing now. `onLost()`: the connection is gone; it comes back by itself.
   * `onRefused(reason)`: the join was refused; it is tried again.
   * `readOn(afterId)`: an async iterable of lists of messages with greater ids; see byRest.
   * `retryMs`: how long to wait before what may pass is tried again.
   *
   * Several of one user on one socket share a channel, since a socket has one of a topic.
   */
  constructor(socket, userId, options) {
    const { afterId, onMessage, onCaughtUp, onLost, onRefused, readOn, retryMs } = options ?? {}
    this.#afterId = startingId(afterId)
    this.#member = {
      readOn,
      afterId: () => this.#afterId,
      advanced: (id) => (this.#afterId = Math.max(this.#afterId, id)),
      seen: (message) => {
        if (this.#seen.has(message.id)) return
        this.#seen.add(message.id)
        if (this.#seen.size > REMEMBERED_IDS) this.#seen.delete(this.#seen.values().next().value)
        tell(onMessage, message)
      },
      caughtUp: () => tell(onCaughtUp),
      lost: () => tell(onLost),
      refused: (reason) => tell(onRefused, reason),
    }
    this.#topic = Topic.of(socket, `private_chat:${userId}`, retryMs)
    this.#topic.enter(this.#member)
  }

  /** The channel of phoenix.js, for `typing`, `read` and `access_token`. */
  get channel() {
    return this.#topic.channel
  }

  /** The greatest id up to which everything was seen: keep it, and begin there the next time. */
  get afterId() {
    return this.#afterId
  }

  get isCaughtUp() {
    return this.#topic.isCaughtUp
  }

  /** Sends without an answer, oldest first; keep them too, and hand them in again with their client_ref. */
  get unanswered() {
    return this.#left ?? this.#topic.outgoing.payloads(this.#member)
  }

  /**
   * `{to, message, listing_id, client_ref}`, the last two optional; other keys are not sent. Half an emoji becomes U+FFFD.
   * Resolves with `{id, inserted_at}` when the message is stored, however long the server is away; rejects with
   * SendRefused. Two sends with one client_ref are one message.
   */
  async send(message) {
    if (this.#left) throw new SendRefused({ reason: "left" })
    return this.#topic.outgoing.send(sendable(message), this.#member)
  }

  /** Leaves; what is unanswered stays so. */
  leave() {
    this.#left ??= this.unanswered
    this.#topic.exit(this.#member)
  }
}

/** One user's channel on one socket: joined, caught up, joined again; for all who share it. */
class Topic {
  static #topics = new WeakMap()

  static of(socket, name, retryMs) {
    const topics = Topic.#topics.get(socket) ?? new Map()
    Topic.#topics.set(socket, topics)
    if (!topics.has(name)) topics.set(name, new Topic(socket, name, retryMs, () => topics.delete(name)))
    return topics.get(name)
  }

  channel = null
  isCaughtUp = false
  outgoing
  #socket
  #name
  #retryMs
  #forget
  #line
  #members = new Set()
  #afterId = Infinity
  /** The greatest id that came live while the gap was still open. */
  #liveId = 0
  #isJoined = false
  /** Of a join, so that what belongs to an earlier one is known. */
  #turn = 0
  #timers = new Set()

  constructor(socket, name, retryMs = RETRY_MS, forget) {
    this.#socket = socket
    this.#name = name
    this.#retryMs = retryMs
    this.#forget = forget
    this.#line = Line.of(socket)
    this.outgoing = new Outgoing({
      retryMs,
      isAlive: () => this.#line.isAlive(),
      rejoin: () => this.channel !== null && this.#rejoin(),
    })
    this.#line.add(this)
  }

  enter(member) {
    this.#members.add(member)
    if (member.afterId() < this.#afterId) {
      // Others who are here have seen more: what comes again, they know by its id.
      this.#afterId = member.afterId()
      if (this.channel === null) this.#join()
      else this.#rejoin()
    } else if (this.isCaughtUp) {
      Promise.resolve().then(() => this.isCaughtUp && this.#members.has(member) && member.caughtUp())
    }
  }

  exit(member) {
    if (!this.#members.delete(member)) return
    this.outgoing.withdraw(member)
    if (this.#members.size > 0) return
    this.#forget()
    this.#line.remove(this)
    this.#lost()
    this.#leave()
  }

  /** The line says: it is open (again). A channel that nobody told of the end of the last connection is joined anew. */
  opened() {
    if (this.#isJoined) this.#rejoin()
  }

  /** The line says: the connection broke. Whether a message may have been the cause. */
  broke(how) {
    return this.outgoing.broke(how)
  }

  #join() {
    const channel = this.#socket.channel(this.#name, () => ({ after_id: this.#afterId }))
    const isCurrent = () => channel === this.channel
    this.channel = channel
    channel.on("send", (message) => isCurrent() && this.#live(message))
    channel.onError((reason) => {
      if (!isCurrent()) return
      this.#lost()
      // The channel crashed on the server, while the connection stands. phoenix.js says otherwise what the transport did.
      if (reason && typeof reason === "object" && reason.source !== "transport") this.outgoing.broke({ mayBeOurs: true })
    })
    channel.onClose(() => isCurrent() && this.#closed())
    channel
      .join()
      .receive("ok", (answer) => isCurrent() && this.#joined(answer))
      .receive("error", (answer) => {
        if (isCurrent()) for (const member of this.#members) member.refused(answer?.reason)
      })
  }

  #leave() {
    const channel = this.channel
    this.channel = null
    channel.leave()
  }

  /** A channel joins once: to join again takes another one, whose join ends this one on the server. */
  #rejoin() {
    this.#lost()
    this.#leave()
    this.#join()
  }

  /** The server closed the channel; or another one of this topic on this socket took its place, and keeps it. */
  #closed() {
    this.#lost()
    const channel = this.channel
    const isReplaced = () => this.#socket.channels?.some((other) => other !== channel && other.topic === this.#name)
    this.#later(() => !isReplaced() && this.#rejoin())
  }

  #lost() {
    const wasCaughtUp = this.isCaughtUp
    this.#turn += 1
    this.isCaughtUp = false
    this.#isJoined = false
    this.#liveId = 0
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.outgoing.lost()
    if (wasCaughtUp) for (const member of this.#members) member.lost()
  }

  async #joined(answer) {
    const messages = answer?.messages ?? []
    const complete = answer?.complete ?? true
    // Also after a join that phoenix.js repeated because its answer was late: what came live before counts no more.
    this.#lost()
    this.#isJoined = true
    const turn = this.#turn
    const before = this.#afterId
    this.#missed(messages)
    if (!complete) {
      const readOn = [...this.#members].find((member) => member.readOn)?.readOn
      // A part with nothing new in it would be so again.
      if (readOn === undefined) return this.#afterId > before ? this.#rejoin() : this.#later(() => this.#rejoin())
      try {
        for await (const page of readOn(this.#afterId)) {
          if (turn !== this.#turn) return
          this.#missed(page)
        }
      } catch {
        if (turn === this.#turn) this.#later(() => this.#rejoin())
        return
      }
      if (turn !== this.#turn) return
    }
    this.#advance(this.#liveId)
    this.isCaughtUp = true
    this.outgoing.joined(this.channel)
    for (const member of this.#members) member.caughtUp()
  }

  /** Messages of the past, oldest first. */
  #missed(messages) {
    for (const message of messages) {
      this.#show(message)
      this.#advance(message.id)
    }
  }

  #live(message) {
    this.#show(message)
    if (this.isCaughtUp) this.#advance(message.id)
    else if (message.id > this.#liveId) this.#liveId = message.id
  }

  #show(message) {
    for (const member of this.#members) member.seen(message)
  }

  #advance(id) {
    if (id > this.#afterId) this.#afterId = id
    for (const member of this.#members) member.advanced(this.#afterId)
  }

  /** After a while, unless the connection is lost before. */
  #later(action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, this.#retryMs)
    this.#timers.add(timer)
  }
}

/**
 * Messages on their way, each until the server has stored it, or refused it, or was seen to be unable to take it.
 *
 * They go out in their order, many at once. When the connection breaks while some are under way, any of them may be
 * the cause: from then on these go one at a time, each after a moment in which the new connection has shown that it
 * stands. Over which it breaks for the third time, that one is refused. A connection that breaks while nothing is
 * under way is bad by itself, and no message is blamed for it.
 */
export class Outgoing {
  #retryMs
  #isAlive
  #rejoin
  #changed
  /** By client_ref, in their order: {payload, promise, resolve, reject, owners, tries, isUnderWay}. */
  #entries = new Map()
  #channel = null
  /** Of a connection. */
  #turn = 0
  #timer = null
  /** So many may be under way: fewer after the server had too many. */
  #limit = MAX_UNDER_WAY
  /** Under way when the connection was lost, until it is known why. */
  #broken = []
  /** The last connection broke soon, and without a cause of ours. */
  #isShaky = false

  /**
   * `isAlive()` promises whether the server answers at all. `rejoin()` joins the channel anew, since the server has
   * forgotten it, or stays silent on it. `changed()` is called when a message is, or is no longer, under way.
   */
  constructor({ retryMs = RETRY_MS, isAlive = async () => true, rejoin = () => {}, changed = () => {} } = {}) {
    this.#retryMs = retryMs
    this.#isAlive = isAlive
    this.#rejoin = rejoin
    this.#changed = changed
  }

  /** Of this owner, or of all, oldest first. */
  payloads(owner) {
    return [...this.#entries.values()].filter((one) => !owner || one.owners.has(owner)).map((one) => one.payload)
  }

  /** `payload` is what `sendable` returned. Resolves with the server's answer, rejects with SendRefused. */
  send(payload, owner = null) {
    const ref = payload.client_ref
    let entry = this.#entries.get(ref)
    if (entry === undefined) {
      entry = { payload, owners: new Set(), tries: 0, isUnderWay: false }
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }))
      this.#entries.set(ref, entry)
    }
    entry.owners.add(owner)
    this.#next()
    return entry.promise
  }

  isUnderWay(ref) {
    return this.#entries.get(ref)?.isUnderWay ?? false
  }

  /** What only this owner sent is not sent again. */
  withdraw(owner) {
    for (const [ref, entry] of [...this.#entries]) {
      entry.owners.delete(owner)
      if (entry.owners.size === 0) this.#entries.delete(ref)
    }
    this.#next()
  }

  /** The channel is joined, for the first time or again. */
  joined(channel) {
    this.#channel = channel
    this.#turn += 1
    this.#broken = []
    if (this.#suspects().length > 0 && !this.#isShaky) this.#wait()
    else this.#next()
  }

  /** The channel is not joined any more; why, `broke` tells, if anybody knows. */
  lost() {
    if (this.#channel === null) return
    this.#channel = null
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#timer = null
    this.#broken = [...this.#entries.values()].filter((entry) => entry.isUnderWay)
    for (const entry of this.#broken) entry.isUnderWay = false
    this.#changed()
  }

  /**
   * After `lost`: the connection broke, or the channel crashed. `mayBeOurs` says whether a message can be the cause,
   * `wasShort` whether the connection had only just been opened. Whether there was a message that can be the cause.
   */
  broke({ mayBeOurs, wasShort = false }) {
    const broken = this.#broken
    this.#broken = []
    const isOurs = mayBeOurs && broken.length > 0
    if (isOurs && !this.#isShaky) for (const entry of broken) this.#tried(entry)
    if (mayBeOurs) this.#isShaky = broken.length === 0 && wasShort
    return isOurs
  }

  #suspects() {
    return [...this.#entries.values()].filter((entry) => entry.tries > 0)
  }

  #tried(entry) {
    entry.tries += 1
    if (entry.tries >= MAX_TRIES) this.#settle(entry, () => entry.reject(new SendRefused()))
  }

  #next() {
    if (this.#channel === null || this.#timer !== null) return
    const limit = this.#suspects().length > 0 ? 1 : this.#limit
    let underWay = 0
    for (const entry of this.#entries.values()) if (entry.isUnderWay) underWay += 1
    for (const entry of this.#entries.values()) {
      if (underWay >= limit) break
      if (entry.isUnderWay) continue
      underWay += 1
      this.#push(entry)
    }
  }

  #push(entry) {
    const turn = this.#turn
    const isCurrent = () => turn === this.#turn && entry.isUnderWay
    const again = () => {
      entry.isUnderWay = false
      this.#wait()
      this.#changed()
    }
    entry.isUnderWay = true
    this.#changed()
    this.#channel
      .push("send", entry.payload, ANSWER_MS)
      .receive("ok", (answer) => {
        this.#limit = Math.min(this.#limit + 1, MAX_UNDER_WAY)
        this.#isShaky = false
        this.#settle(entry, () => entry.resolve(answer))
      })
      .receive("error", (answer) => {
        const reason = answer?.reason
        if (reason === FORGOTTEN) return isCurrent() && this.#rejoin()
        if (!PASSING.has(reason)) return this.#settle(entry, () => entry.reject(new SendRefused(answer ?? {})))
        if (!isCurrent()) return
        this.#limit = Math.max(1, Math.floor(this.#limit / 2))
        again()
      })
      .receive("timeout", async () => {
        const isAlive = await this.#isAlive()
        if (!isCurrent()) return
        // No answer to anything: the connection is about to be replaced.
        if (!isAlive) return again()
        this.#tried(entry)
        if (isCurrent()) again()
        this.#rejoin()
      })
  }

  #settle(entry, settle) {
    const ref = entry.payload.client_ref
    if (this.#entries.get(ref) !== entry) return
    this.#entries.delete(ref)
    entry.isUnderWay = false
    settle()
    this.#changed()
    this.#next()
  }

  /** Nothing more goes out for a while. */
  #wait() {
    if (this.#channel === null || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#next()
    }, this.#retryMs)
  }
}

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
  #probe = null
  #seen = { conn: null, state: "closed", since: 0 }
  #isUsed = false
  #timer = null

  constructor(socket) {
    this.#socket = socket
    this.fallsBack = Boolean(socket.longPollFallbackMs)
    this.#keepPace()
    understandTokenFunction(socket)
    const LongPoll = socket.getLongPollTransport?.()
    if (LongPoll) surviveForeignAnswers(LongPoll)
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

  #opened() {
    this.#openedAt = this.#heardAt = Date.now()
    for (const listener of [...this.#listeners]) listener.opened()
  }

  #closed(code) {
    const lasted = this.#openedAt === null ? null : Date.now() - this.#openedAt
    this.#openedAt = null
    const mayBeOurs = lasted !== null && !this.#isOutage(code)
    const how = { mayBeOurs, wasShort: lasted < GOOD_MS }
    const isOurs = [...this.#listeners].filter((listener) => listener.broke(how)).length > 0
    if (lasted === null || isOurs || this.isLongPoll) return
    this.#cuts = lasted < CUT_MS && CUT_CODES.has(code) ? this.#cuts + 1 : 0
    if (this.#cuts >= MAX_CUTS && this.fallsBack) this.#fallBack()
  }

  /** A WebSocket that ends without a code may have ended over a message; a long poll that does got no answer. */
  #isOutage(code) {
    return OUTAGE_CODES.has(code) && !(code === 1005 && !this.isLongPoll)
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

/** `authToken` may be a function since 1.8.9. Versions before make text of what they are given: let that be the token. */
function understandTokenFunction(socket) {
  const ask = socket.authToken
  if (typeof ask === "function") socket.authToken = Object.assign(() => ask(), { toString: () => String(ask()) })
}

const guarded = new WeakSet()

/**
 * phoenix.js believes every JSON that answers a poll. One that something else than the server made, as an API gateway's
 * own 503, ends its polling without a word: here it counts as no answer, after which phoenix.js tries again.
 */
function surviveForeignAnswers(LongPoll) {
  const { prototype } = LongPoll
  if (typeof prototype.ajax !== "function" || guarded.has(prototype)) return
  guarded.add(prototype)
  const { ajax } = prototype
  prototype.ajax = function (method, ...rest) {
    const callback = rest.pop()
    const isOurs = (answer) => method !== "GET" || isPollAnswer(answer)
    return ajax.call(this, method, ...rest, (answer) => callback(isOurs(answer) ? answer : null))
  }
}

function isPollAnswer(answer) {
  if (answer === null || typeof answer !== "object") return false
  const { status, token, messages } = answer
  if (status === 403 || status === 500) return true
  // The others come with a session, without which it would poll again at once, and again.
  if (typeof token !== "string") return false
  return status === 204 || status === 410 || (status === 200 && Array.isArray(messages))
}

/** For `readOn`: pages of `GET /api/messages?after_id`. `token()` gives a good access token. */
export const byRest = (url, token) =>
  async function* (afterId) {
    let cursor = null
    do {
      const query = new URLSearchParams({ after_id: afterId, limit: 100, ...(cursor && { cursor }) })
      const headers = { authorization: `Bearer ${token()}` }
      const response = await fetch(`${url}/api/messages?${query}`, { headers })
      if (!response.ok) throw new Error(`messages could not be read: ${response.status}`)
      const { data, next_cursor } = await response.json()
      yield data
      cursor = next_cursor
    } while (cursor)
  }

/**
 * The payload for a message, `{to, message, listing_id, client_ref}`: always such that a server can read it. Throws
 * SendRefused, with the server's own words, for what no server takes.
 */
export function sendable(message) {
  if (message === null || typeof message !== "object") {
    throw new SendRefused({ reason: "invalid message", errors: { payload: ["Not an object."] } })
  }
  const { to, message: text, listing_id: listingId, client_ref: ref } = message
  const errors = {}
  const fault = textFault(text)
  if (fault) errors.message = [fault]
  if (to === undefined || to === null) errors.to = ["Missing."]
  else if (digits(to) === null) throw new SendRefused({ reason: "user not found" })
  const payload = { to: digits(to), message: fault ? null : wellFormed(text) }
  if (listingId !== undefined && listingId !== null) {
    payload.listing_id = digits(listingId)
    if (payload.listing_id === null) errors.listing_id = ["Not an id."]
  }
  payload.client_ref = ref ?? newRef()
  const refFault = ref === undefined || ref === null ? null : clientRefFault(ref)
  if (refFault) errors.client_ref = [refFault]
  if (Object.keys(errors).length > 0) throw new SendRefused({ reason: "invalid message", errors })
  return payload
}

function textFault(text) {
  if (text === undefined || text === null) return "Missing."
  if (typeof text !== "string") return "Not a string."
  if (isLonger(text, MAX_TEXT_LENGTH)) return `Longer than ${MAX_TEXT_LENGTH} characters.`
  return null
}

function clientRefFault(ref) {
  if (typeof ref !== "string") return "Not a string."
  if (ref === "" || isLonger(ref, MAX_CLIENT_REF_LENGTH)) return `Between 1 and ${MAX_CLIENT_REF_LENGTH} characters.`
  // Mended, two that were different could be one.
  if (ref !== wellFormed(ref)) return "Contains characters that cannot be stored."
  return null
}

function isLonger(text, longest) {
  return text.length > longest && (text.length > 2 * longest || [...text].length > longest)
}

/** Half an emoji is nothing that can be sent. String.prototype.toWellFormed, which is not everywhere yet. */
function wellFormed(text) {
  return text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, (found) => (found.length === 2 ? found : "\uFFFD"))
}

/** Of an id, which is a number, a bigint or text; null for what is none. */
function digits(id) {
  const text = typeof id === "bigint" || Number.isSafeInteger(id) ? String(id) : id
  return typeof text === "string" && /^[1-9][0-9]{0,18}$/.test(text) ? text : null
}

/** Where catching up begins: applications keep numbers as text, or have none yet. */
function startingId(afterId) {
  const text = digits(afterId)
  return text !== null && Number.isSafeInteger(Number(text)) ? Number(text) : 0
}

/** What an application does with the news is not allowed to stop the chat. */
function tell(hook, ...news) {
  try {
    hook?.(...news)
  } catch (error) {
    console.error(error)
  }
}

/** Never used before by this user, on any device. */
function newRef() {
  const random = () => Math.random().toString(36).slice(2)
  return `${Date.now().toString(36)}-${random()}${random()}`
}
