// One user's channel on one socket: joins it, catches up, joins it again; its members share it.

import { isMessage, isPage, readJoin } from "./answers.js"
import { eachInTime } from "./in_time.js"
import { Line } from "./line.js"
import { Outgoing } from "./outgoing.js"

/** The pause before a retry doubles each time, up to this many times `retryMs`. */
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
  /** Members whose `afterId` is not known yet. */
  #waiting = new Set()
  #afterId = Infinity
  /** The greatest id that arrived live while the gap was still open. */
  #liveId = 0
  #isJoined = false
  /** The number of the join, which tells what belongs to an earlier join. */
  #turn = 0
  #timers = new Set()
  /** The events for which the channel has a listener. */
  #heard = new Set()
  /** Number of pauses since the topic was last caught up. */
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

  /** Keeps the topic open for the member. The member hears nothing before `enter`. */
  wait(member) {
    this.#waiting.add(member)
  }

  enter(member) {
    if (!this.#waiting.delete(member)) return
    this.#members.add(member)
    if (this.channel !== null) this.#hear(member.events)
    if (member.afterId() < this.#afterId) {
      // The other members have seen more. They know by their ids the messages that are repeated.
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

  /** Pushes if the channel is joined, and returns whether it was. Such events are not queued: they matter only now. */
  push(event, payload) {
    if (this.#isJoined) this.channel.push(event, payload)
    return this.#isJoined
  }

  /** Called by the line when the connection opens. Joins again if the end of the last connection went unnoticed. */
  opened() {
    if (this.#isJoined) this.#rejoin()
  }

  /** Called by the line when the connection broke. Returns whether one of the messages may be the cause. */
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
      // The channel crashed on the server while the connection stands. Otherwise phoenix.js passes the transport's
      // reason.
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

  /** Listens to events other than `send`, from the other person or from another device of this user. */
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

  /** A channel joins once. To join again takes a new channel, whose join closes the old one on the server. */
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
   * The server closed the channel, perhaps because of a message. Or another channel of this topic on this socket has
   * replaced it; then that one stays.
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
    // phoenix.js also repeats a join whose answer was late: what came live before does not count any more.
    this.#lost()
    this.#isJoined = true
    const turn = this.#turn
    const before = this.#afterId
    const found = readJoin(answer)
    // The answer is malformed, so it does not say that this is everything.
    if (found === null) return this.#later(() => this.#rejoin())
    const { messages, complete, deleted = [], more_deleted: hasMore = false } = found
    this.#missed(messages)
    if (deleted.length) this.#tell((member) => member.deleted(deleted, hasMore))
    if (!complete) {
      const readOn = [...this.#members].find((member) => member.readOn)?.readOn
      // An answer with nothing new would be the same again: pause first.
      if (readOn === undefined) return this.#afterId > before ? this.#rejoin() : this.#later(() => this.#rejoin())
      try {
        for await (const page of eachInTime(readOn(this.#afterId))) {
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

  /** Takes past messages, oldest first. */
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

  /** Acts after a pause, longer each time until the topic is caught up. A lost connection cancels it. */
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
