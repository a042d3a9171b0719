// Messages on their way, each until the server has stored it, or refused it, or was seen to be unable to take it.

import { SendRefused } from "./send_refused.js"

/** So often a message is given to a server that breaks the connection over it, or that stays silent about it alone. */
const MAX_TRIES = 3
/** phoenix.js before 1.8.6 sends all that meets in one request of long polling, and a server takes a hundred. */
const MAX_UNDER_WAY = 50
/** Longer than the server needs to find out that its database is away. */
const ANSWER_MS = 15_000

/** Reasons that pass: nothing is wrong with the message. */
const PASSING = new Set(["try again", "too many requests"])
/** What a server answers on a topic that it does not know as joined, as after a long poll's session was replaced. */
const FORGOTTEN = "unmatched topic"

/**
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
   * `retryMs` is how long what may pass waits. `isAlive()` promises whether the server answers at all. `rejoin()` joins the channel anew, since the server has
   * forgotten it, or stays silent on it. `changed()` is called when a message is, or is no longer, under way.
   */
  constructor({ retryMs, isAlive, rejoin, changed }) {
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
