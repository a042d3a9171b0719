// One user's channel on one socket: joined, caught up, joined again; for all who share it.

import { isMessage, isPage, readJoin } from "./answers.js"
import { Line } from "./line.js"
import { Outgoing } from "./outgoing.js"

/** What fails over and over is tried again after a pause that grows to so many times the first. */
const LONGEST_PAUSE = 16

export class Topic {
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
  /** Those who do not know yet where they begin. */
  #waiting = new Set()
  #afterId = Infinity
  /** The greatest id that came live while the gap was still open. */
  #liveId = 0
  #isJoined = false
  /** Of a join, so that what belongs to an earlier one is known. */
  #turn = 0
  #timers = new Set()
  /** The events that the channel tells to somebody. */
  #heard = new Set()
  /** So many pauses since it was caught up. */
  #pauses = 0

  constructor(socket, name, retryMs, forget) {
    this.#socket = socket
    this.#name = name
    this.#retryMs = retryMs
    this.#forget = forget
    this.#line = Line.of(socket)
    this.outgoing = new Outgoing({
      retryMs,
      isAlive: () => this.#line.isAlive(),
      rejoin: (ms) => this.channel !== null && this.#rejoinAfter(ms),
      changed: () => this.#tell((member) => member.changed()),
    })
    this.#line.add(this)
  }

  /** Keeps the topic; nothing is told of it before `enter`. */
  wait(member) {
    this.#waiting.add(member)
  }

  enter(member) {
    if (!this.#waiting.delete(member)) return
    this.#members.add(member)
    if (this.channel !== null) this.#hear(member.events)
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
    if (!this.#members.delete(member) && !this.#waiting.delete(member)) return
    this.outgoing.withdraw(member)
    if (this.#members.size + this.#waiting.size > 0) return
    this.#forget()
    this.#line.remove(this)
    this.#lost()
    if (this.channel !== null) this.#leave()
  }

  /** Whether it could be pushed: what is about this moment, or can be said again, does not wait for a connection. */
  push(event, payload) {
    if (this.#isJoined) this.channel.push(event, payload)
    return this.#isJoined
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
    channel.on("send", (message) => isCurrent() && isMessage(message) && this.#live(message))
    this.#heard = new Set(["send"])
    for (const member of this.#members) this.#hear(member.events)
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
        if (isCurrent()) this.#tell((member) => member.refused(answer?.reason))
      })
  }

  /** Beside `send`, what happens on the topic, from the other person or from another device of this one. */
  #hear(events) {
    const channel = this.channel
    for (const event of events) {
      if (this.#heard.has(event)) continue
      this.#heard.add(event)
      channel.on(event, (payload) => {
        if (channel === this.channel) this.#tell((member) => member.events.includes(event) && member.heard(event, payload))
      })
    }
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

  #rejoinAfter(ms) {
    if (ms === 0) return this.#rejoin()
    this.#lost()
    this.#after(ms, () => this.#rejoin())
  }

  /**
   * The server closed the channel, perhaps over a message; or another one of this topic on this socket took its place,
   * and keeps it.
   */
  #closed() {
    this.#lost()
    this.outgoing.broke({ mayBeOurs: true })
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
    if (wasCaughtUp) this.#tell((member) => member.lost())
  }

  async #joined(answer) {
    // Also after a join that phoenix.js repeated because its answer was late: what came live before counts no more.
    this.#lost()
    this.#isJoined = true
    const turn = this.#turn
    const before = this.#afterId
    const found = readJoin(answer)
    // Somebody else's, or of a server that is broken: nothing says that this is all.
    if (found === null) return this.#later(() => this.#rejoin())
    const { messages, complete } = found
    this.#missed(messages)
    if (!complete) {
      const readOn = [...this.#members].find((member) => member.readOn)?.readOn
      // A part with nothing new in it would be so again.
      if (readOn === undefined) return this.#afterId > before ? this.#rejoin() : this.#later(() => this.#rejoin())
      try {
        for await (const page of readOn(this.#afterId)) {
          if (turn !== this.#turn) return
          if (!isPage(page)) throw new Error("not a list of messages")
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
    this.#pauses = 0
    this.outgoing.joined(this.channel)
    this.#tell((member) => member.caughtUp())
  }

  /** Messages of the past, oldest first. */
  #missed(messages) {
    for (const message of messages) {
      this.#tell((member) => member.seen(message, false))
      this.#advance(message.id)
    }
  }

  #live(message) {
    this.#tell((member) => member.seen(message, true))
    if (this.isCaughtUp) this.#advance(message.id)
    else if (message.id > this.#liveId) this.#liveId = message.id
  }

  #tell(news) {
    for (const member of [...this.#members]) news(member)
  }

  #advance(id) {
    if (id > this.#afterId) this.#afterId = id
    this.#tell((member) => member.advanced(this.#afterId))
  }

  /** After a while, longer each time until it is caught up, unless the connection is lost before. */
  #later(action) {
    this.#after(this.#retryMs * Math.min(2 ** this.#pauses, LONGEST_PAUSE), action)
    this.#pauses += 1
  }

  #after(ms, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, ms)
    this.#timers.add(timer)
  }
}
