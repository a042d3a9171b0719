// Messages on their way, each until the server has stored it, or refused it, or was seen to be unable to take it.

import { isId } from "./ids.js"
import { SendRefused } from "./send_refused.js"

/** So often a message is given to a server that breaks the connection over it, or that stays silent about it alone. */
const MAX_TRIES = 3
/**
 * phoenix.js before 1.8.6 sends all that meets in one request of long polling, and a server takes a hundred. Before 1.7 it
 * sends each in a request of its own, one after the other: all have to be answered within ANSWER_MS, also by a slow network.
 */
const MAX_UNDER_WAY = 20
/** What is told to try again over and over waits so many times as long at most. */
const LONGEST_WAIT = 8
/** Longer than the server needs to find out that its database is away. */
const ANSWER_MS = 15_000

/** Reasons that pass: nothing is wrong with the message. */
const TOO_MANY = "too many requests"
const PASSING = new Set(["try again", TOO_MANY])
/** What a server answers on a topic that it does not know as joined, as after a long poll's session was replaced. */
const FORGOTTEN = "unmatched topic"

/**
 * They go out in their order, many at once. When the connection breaks while some are under way, any of them may be
 * the cause: from then on these go one at a time, each after a moment in which the new connection has shown that it
 * stands. Over which it breaks for the third time, that one is refused. A connection that breaks while nothing is
 * under way is bad by itself, and no message is blamed for it. A server that goes away is to blame for that itself,
 * unless it goes three times while one and the same message is alone under way.
 *
 * A server that tells a message to try again may be busy, or unable to take just that one: others find out. After a
 * pause the message goes alone; when it is told so again, another goes at once. If that one is taken, this was a try of
 * the message, which waits by itself, longer each time, until the third try. If not, the server says so to all.
 */
export class Outgoing {
  #retryMs
  #isAlive
  #rejoin
  #changed
  /**
   * By client_ref, in their order: {payload, promise, resolve, reject, owners, isUnderWay}; `tries` is how often it was
   * seen that it cannot be taken, `isSuspect` that a connection broke over it, perhaps; `outages` how often in a row the
   * server went away over it alone; `told` how often it was told to try again, `doubt` the last time of that that
   * another's answer can still explain, `dueAt` when it may go again.
   */
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
  /** Counts what was pushed, and the pauses: between two of them the server is taken to be in one state. */
  #pushes = 0
  #round = 0
  /** Nothing went out since the last pause began. */
  #isQuiet = false
  /** Was told again to try again; the next answer to another says whether that was about it. */
  #doubted = null
  /** The server forgot the channel so often since it last took a message. */
  #forgotten = 0

  /**
   * `retryMs` is how long what may pass waits. `isAlive()` promises whether the server answers at all. `rejoin(ms)`
   * joins the channel anew, after so long, since the server has forgotten it, or stays silent on it. `changed()` is
   * called when a message is, or is no longer, under way.
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
      const unknown = { tries: 0, isSuspect: false, outages: 0, told: 0, doubt: null, dueAt: 0, timer: null }
      entry = { payload, owners: new Set(), isUnderWay: false, ...unknown }
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
      if (entry.owners.size === 0) this.#forget(ref, entry)
    }
    this.#next()
  }

  /** The channel is joined, for the first time or again. */
  joined(channel) {
    this.#channel = channel
    this.#turn += 1
    this.#round += 1
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
    this.#doubted = null
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
    if (!mayBeOurs) this.#wentAway(broken)
    const isOurs = mayBeOurs && broken.length > 0
    if (isOurs && !this.#isShaky) for (const entry of broken) this.#brokeOver(entry)
    if (mayBeOurs) this.#isShaky = broken.length === 0 && wasShort
    return isOurs
  }

  #suspects() {
    return [...this.#entries.values()].filter((entry) => entry.isSuspect)
  }

  #brokeOver(entry) {
    entry.isSuspect = true
    this.#tried(entry)
  }

  /** Of several under way any may be the cause, but most often none is: from then on they go one at a time. */
  #wentAway(broken) {
    if (broken.length > 1) for (const entry of broken) entry.isSuspect = true
    else for (const entry of broken) if (++entry.outages >= MAX_TRIES) this.#refuse(entry)
  }

  #tried(entry) {
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
    if (alone || underWay.some((entry) => entry.told > 0)) {
      if (!alone || underWay.length > 0) return
      // What was told so more than once goes after a pause, so that its answer says something.
      if (alone.told > 1 && !this.#isQuiet && this.#doubted === null) this.#wait()
      else this.#push(alone)
      return
    }
    for (const entry of ready.slice(0, Math.max(0, this.#limit - underWay.length))) this.#push(entry)
  }

  /** The one that has to go alone now, if there is one. */
  #nextAlone(ready) {
    // Who is to say what it was about is best one that nothing was said to.
    if (this.#doubted) return ready.find((entry) => entry.told === 0) ?? ready[0]
    return ready.find((entry) => entry.told > 0) ?? (this.#suspects().length > 0 ? ready[0] : undefined)
  }

  #push(entry) {
    const turn = this.#turn
    const round = this.#round
    const order = (this.#pushes += 1)
    const isAfterPause = this.#isQuiet
    this.#isQuiet = false
    if (this.#doubted === entry) this.#doubted = null
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
          // Whatever it stands for: the same again is stored once, and may get an answer that can be read.
          if (!isCurrent()) return
          this.#tried(entry)
          if (isCurrent()) again()
          return
        }
        this.#limit = Math.min(this.#limit + 1, MAX_UNDER_WAY)
        this.#isShaky = false
        this.#forgotten = 0
        this.#taken(round, order)
        this.#settle(entry, () => entry.resolve(answer))
      })
      .receive("error", (answer) => {
        const reason = answer?.reason
        if (reason === FORGOTTEN) return isCurrent() && this.#wasForgotten()
        if (!PASSING.has(reason)) return this.#settle(entry, () => entry.reject(new SendRefused(answer ?? {})))
        if (!isCurrent()) return
        this.#limit = Math.max(1, Math.floor(this.#limit / 2))
        entry.outages = 0
        entry.told += 1
        // After a budget is used up, only a pause shows that it is not about the budget.
        const isSure = entry.told > 1 && (reason !== TOO_MANY || isAfterPause)
        entry.doubt = { round, order, isSure }
        if (isSure && this.#doubted === null) {
          this.#putAside(entry)
        } else {
          this.#saysSoToAll()
          again()
        }
      })
      .receive("timeout", async () => {
        const isAlive = await this.#isAlive()
        if (!isCurrent()) return
        // No answer to anything: the connection is about to be replaced.
        if (!isAlive) return again()
        this.#brokeOver(entry)
        if (isCurrent()) again()
        this.#rejoin(0)
      })
  }

  /** It waits by itself, longer each time, while others go; the end of its wait is a pause for all. */
  #putAside(entry) {
    const wait = this.#retryMs * Math.min(2 ** (entry.told - 1), LONGEST_WAIT)
    entry.isUnderWay = false
    entry.dueAt = Date.now() + wait
    entry.timer = setTimeout(() => this.#wait(), wait - this.#retryMs)
    this.#doubted = entry
    this.#changed()
    this.#next()
  }

  /** Nobody is to blame, and none goes before the one that was put aside. */
  #saysSoToAll() {
    const entry = this.#doubted
    this.#doubted = null
    if (entry === null) return
    clearTimeout(entry.timer)
    entry.dueAt = 0
  }

  /** The server took what was pushed then: what it told others before, in the same state, was about them. */
  #taken(round, order) {
    this.#doubted = null
    for (const entry of [...this.#entries.values()]) {
      const { doubt } = entry
      if (doubt === null || doubt.round !== round || doubt.order > order) continue
      entry.doubt = null
      if (doubt.isSure || entry.tries === 0) this.#tried(entry)
    }
  }

  /** One that does so each time may do so over a message: that is found out as for a connection that breaks. */
  #wasForgotten() {
    const wait = this.#forgotten === 0 ? 0 : this.#retryMs * Math.min(2 ** (this.#forgotten - 1), LONGEST_WAIT)
    this.#forgotten += 1
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
    if (this.#doubted === entry) this.#doubted = null
  }

  /** Nothing more goes out for a while. */
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
