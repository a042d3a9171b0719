// Sends messages until the server has stored or refused each, or until it is clear that the server cannot take it.

import { isId } from "./ids.js"
import { SendRefused } from "./send_refused.js"

/** A message is given up after the connection broke, or the server stayed silent, this many times because of it. */
const MAX_TRIES = 3
/**
 * phoenix.js before 1.8.6 puts all pending messages into one long-poll request; the server takes at most 100 in one.
 * Before 1.7 it uses one request for each message, one after the other: all must be answered within ANSWER_MS, even over
 * a slow network.
 */
const MAX_UNDER_WAY = 20
/** The wait of a message that is told "try again" repeatedly grows to at most this many times `retryMs`. */
const LONGEST_WAIT = 8
/** Longer than the server needs to notice that its database is away. */
const ANSWER_MS = 15_000

/** Reasons for which a later try can succeed: the message itself is fine. */
const TOO_MANY = "too many requests"
const PASSING = new Set(["try again", TOO_MANY])
/**
 * The server's answer on a topic that it does not know as joined, for example after a long-poll session was replaced.
 */
const UNMATCHED_TOPIC = "unmatched topic"

/**
 * Messages go out in order, many at once.
 *
 * When the connection breaks, any message under way may be the cause. From then on these messages go one at a time,
 * each after a pause that shows that the new connection is stable. A message over which the connection breaks for the
 * third time is refused. If nothing was under way, no message is blamed. An outage of the server blames no message
 * either, unless three outages in a row happen while the same message alone is under way.
 *
 * A server that answers "try again" is busy, or cannot take this one message. To find out, the message is sent alone
 * after a pause. If the answer is "try again" once more, another message is sent at once. If the server takes the other
 * one, the first message is to blame: this counts as a try, and the message waits, longer each time, until its third
 * try. If the server does not take the other one either, it is busy, and no message is blamed.
 */
export class Outgoing {
  #retryMs
  #isAlive
  #rejoin
  #changed
  /**
   * The messages by client_ref, in order: {payload, promise, resolve, reject, owners, isUnderWay}, and
   * `tries`: how often the message was to blame;
   * `isSuspect`: the connection broke while the message was under way;
   * `outages`: how many outages in a row happened while it alone was under way;
   * `retryAnswers`: how often the server answered "try again";
   * `unexplained`: the last such answer, until the answer to another message explains it;
   * `dueAt`: the time from which it may be sent again.
   */
  #entries = new Map()
  #channel = null
  /** The number of the join, which tells answers of an earlier join from those of this one. */
  #turn = 0
  #timer = null
  /** How many messages may be under way; halved when the server answers "try again". */
  #limit = MAX_UNDER_WAY
  /** The messages that were under way when the connection was lost, until `broke` tells why. */
  #broken = []
  /** The last connection broke soon after it opened, while no message was under way. */
  #isShaky = false
  /** Count pushes and pauses. Between two pauses the server is taken to be in one state, busy or not. */
  #pushes = 0
  #round = 0
  /** True if nothing was sent since the last pause. */
  #isQuiet = false
  /** The message that got "try again" twice; the next answer to another message decides whether it is to blame. */
  #inQuestion = null
  /** How often in a row the server answered "unmatched topic", without taking a message in between. */
  #unmatched = 0

  /**
   * `retryMs`: how long to wait before a message is tried again. `isAlive()` resolves with whether the server answers
   * at all. `rejoin(ms)` joins the channel again after that time, because the server does not know it any more or does
   * not answer on it. `changed()` is called when a message starts or stops being under way.
   */
  constructor({ retryMs, isAlive, rejoin, changed }) {
    this.#retryMs = retryMs
    this.#isAlive = isAlive
    this.#rejoin = rejoin
    this.#changed = changed
  }

  /** Returns the payloads of the owner's messages, or of all if there is no owner, oldest first. */
  payloads(owner) {
    return [...this.#entries.values()].filter((one) => !owner || one.owners.has(owner)).map((one) => one.payload)
  }

  /** `payload` is what `sendable` returned. Resolves with the server's answer; rejects with SendRefused. */
  send(payload, owner = null) {
    const ref = payload.client_ref
    let entry = this.#entries.get(ref)
    if (entry === undefined) {
      const unknown = { tries: 0, isSuspect: false, outages: 0, retryAnswers: 0, unexplained: null }
      entry = { payload, owners: new Set(), isUnderWay: false, dueAt: 0, timer: null, ...unknown }
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

  /** Drops the messages that only this owner has sent. */
  withdraw(owner) {
    for (const [ref, entry] of [...this.#entries]) {
      entry.owners.delete(owner)
      if (entry.owners.size === 0) this.#forget(ref, entry)
    }
    this.#next()
  }

  /** The channel has joined, for the first time or again. */
  joined(channel) {
    this.#channel = channel
    this.#turn += 1
    this.#round += 1
    this.#broken = []
    if (this.#suspects().length > 0 && !this.#isShaky) this.#wait()
    else this.#next()
  }

  /** The channel is no longer joined. `broke` follows if the reason is known. */
  lost() {
    if (this.#channel === null) return
    this.#channel = null
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#timer = null
    this.#inQuestion = null
    this.#broken = [...this.#entries.values()].filter((entry) => entry.isUnderWay)
    for (const entry of this.#broken) entry.isUnderWay = false
    this.#changed()
  }

  /**
   * Called after `lost`: the connection broke, or the channel crashed. `mayBeOurs`: a message can be the cause.
   * `wasShort`: the connection had only just been opened. Returns whether a message that was under way can be the
   * cause.
   */
  broke({ mayBeOurs, wasShort = false }) {
    const broken = this.#broken
    this.#broken = []
    if (!mayBeOurs) this.#sawOutage(broken)
    const isOurs = mayBeOurs && broken.length > 0
    if (isOurs && !this.#isShaky) for (const entry of broken) this.#suspect(entry)
    if (mayBeOurs) this.#isShaky = broken.length === 0 && wasShort
    return isOurs
  }

  #suspects() {
    return [...this.#entries.values()].filter((entry) => entry.isSuspect)
  }

  #suspect(entry) {
    entry.isSuspect = true
    this.#countTry(entry)
  }

  /**
   * The server went away. Of several messages, any may be the cause, though rarely is: they go one at a time from now
   * on.
   */
  #sawOutage(broken) {
    if (broken.length > 1) for (const entry of broken) entry.isSuspect = true
    else for (const entry of broken) if (++entry.outages >= MAX_TRIES) this.#refuse(entry)
  }

  #countTry(entry) {
    entry.tries += 1
    if (entry.tries >= MAX_TRIES) this.#refuse(entry)
  }

  #refuse(entry) {
    this.#settle(entry, () => entry.reject(new SendRefused()))
  }

  #next() {
    if (this.#channel === null || this.#timer !== null) return
    const underWay = [...this.#entries.values()].filter((entry) => entry.isUnderWay)
    const now = Date.now()
    const ready = [...this.#entries.values()].filter((entry) => !entry.isUnderWay && entry.dueAt <= now)
    const alone = this.#nextAlone(ready)
    if (alone || underWay.some((entry) => entry.retryAnswers > 0)) {
      if (!alone || underWay.length > 0) return
      // After repeated "try again" the message goes after a pause, so that the answer is about the message.
      if (alone.retryAnswers > 1 && !this.#isQuiet && this.#inQuestion === null) this.#wait()
      else this.#push(alone)
      return
    }
    for (const entry of ready.slice(0, Math.max(0, this.#limit - underWay.length))) this.#push(entry)
  }

  /** Returns the message that has to go alone now, if there is one. */
  #nextAlone(ready) {
    // The answer that decides should be to a message that has not been told "try again" itself, if there is
    // one.
    if (this.#inQuestion) return ready.find((entry) => entry.retryAnswers === 0) ?? ready[0]
    return ready.find((entry) => entry.retryAnswers > 0) ?? (this.#suspects().length > 0 ? ready[0] : undefined)
  }

  #push(entry) {
    const turn = this.#turn
    const round = this.#round
    const order = (this.#pushes += 1)
    const isAfterPause = this.#isQuiet
    this.#isQuiet = false
    if (this.#inQuestion === entry) this.#inQuestion = null
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
        if (!isId(answer?.id)) {
          // The answer is malformed. Send again: the server stores the message once, and the next answer may be
          // readable.
          if (!isCurrent()) return
          this.#countTry(entry)
          if (isCurrent()) again()
          return
        }
        this.#limit = Math.min(this.#limit + 1, MAX_UNDER_WAY)
        this.#isShaky = false
        this.#unmatched = 0
        this.#accepted(round, order)
        this.#settle(entry, () => entry.resolve(answer))
      })
      .receive("error", (answer) => {
        const reason = answer?.reason
        if (reason === UNMATCHED_TOPIC) return isCurrent() && this.#rejoinUnmatched()
        if (!PASSING.has(reason)) return this.#settle(entry, () => entry.reject(new SendRefused(answer ?? {})))
        if (!isCurrent()) return
        this.#limit = Math.max(1, Math.floor(this.#limit / 2))
        entry.outages = 0
        entry.retryAnswers += 1
        // "too many requests" blames the message only after a pause, when the rate limit cannot be the reason.
        const isSure = entry.retryAnswers > 1 && (reason !== TOO_MANY || isAfterPause)
        entry.unexplained = { round, order, isSure }
        if (isSure && this.#inQuestion === null) {
          this.#putAside(entry)
        } else {
          this.#isBusy()
          again()
        }
      })
      .receive("timeout", async () => {
        const isAlive = await this.#isAlive()
        if (!isCurrent()) return
        // The server answers nothing: the connection is about to be replaced.
        if (!isAlive) return again()
        this.#suspect(entry)
        if (isCurrent()) again()
        this.#rejoin(0)
      })
  }

  /** The message waits, longer each time, while others go; at the end of its wait all pause. */
  #putAside(entry) {
    const wait = this.#retryMs * Math.min(2 ** (entry.retryAnswers - 1), LONGEST_WAIT)
    entry.isUnderWay = false
    entry.dueAt = Date.now() + wait
    entry.timer = setTimeout(() => this.#wait(), wait - this.#retryMs)
    this.#inQuestion = entry
    this.#changed()
    this.#next()
  }

  /** The server is busy: no message is to blame, and the message that was put aside keeps its place. */
  #isBusy() {
    const entry = this.#inQuestion
    this.#inQuestion = null
    if (entry === null) return
    clearTimeout(entry.timer)
    entry.dueAt = 0
  }

  /**
   * The server took this push, so it was not busy: "try again" to earlier pushes of the same round was about those
   * messages.
   */
  #accepted(round, order) {
    this.#inQuestion = null
    for (const entry of [...this.#entries.values()]) {
      const { unexplained } = entry
      if (unexplained === null || unexplained.round !== round || unexplained.order > order) continue
      entry.unexplained = null
      if (unexplained.isSure || entry.tries === 0) this.#countTry(entry)
    }
  }

  /**
   * The server does not know the channel any more. If that repeats, a message may be the cause, as when a connection
   * breaks.
   */
  #rejoinUnmatched() {
    const wait = this.#unmatched === 0 ? 0 : this.#retryMs * Math.min(2 ** (this.#unmatched - 1), LONGEST_WAIT)
    this.#unmatched += 1
    this.#rejoin(wait)
    this.broke({ mayBeOurs: true })
  }

  #settle(entry, settle) {
    const ref = entry.payload.client_ref
    if (this.#entries.get(ref) !== entry) return
    this.#forget(ref, entry)
    settle()
    this.#changed()
    this.#next()
  }

  #forget(ref, entry) {
    this.#entries.delete(ref)
    clearTimeout(entry.timer)
    entry.isUnderWay = false
    if (this.#inQuestion === entry) this.#inQuestion = null
  }

  /** Sends nothing for `retryMs`. */
  #wait() {
    if (this.#channel === null || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#round += 1
      this.#isQuiet = true
      this.#next()
    }, this.#retryMs)
  }
}
