// A client of private chat, as an application sees it.

import { startingId } from "./ids.js"
import { sendable } from "./sendable.js"
import { SendRefused } from "./send_refused.js"
import { Topic } from "./topic.js"

const RETRY_MS = 1_000
const REMEMBERED_IDS = 10_000

export class PrivateChat {
  #topic
  #retryMs
  #member
  /** Null until it is known. */
  #afterId = null
  #seen = new Set()
  /** What was unanswered then. */
  #left = null

  /**
   * `socket` is a Socket of phoenix.js. The options, none of which is needed:
   * `afterId`: a number, or its digits; with 0, or anything that is no id, the server tells everything from the beginning.
   * Or a function that returns a promise of it: called before the first join, and again after `retryMs` when it fails.
   * `onMessage(message, {isLive})`: `{id, from, to, message, listing_id, inserted_at, read_at}`, each once; `isLive` is
   * whether it came just now, not by catching up.
   * `onRead({by, with, up_to})`, `onTyping({from, to})`: what the other one did, or another device of this user.
   * `on`: hooks for further events of the topic, by the event's name: `{wave: ({from, to}) => ...}`.
   * `onChange()`: a message of `send` is, or is no longer, under way.
   * `onCaughtUp()`: nothing is missing now. `onLost()`: the connection is gone; it comes back by itself.
   * `onRefused(reason)`: the join was refused; it is tried again.
   * `readOn(afterId)`: an async iterable of lists of messages with greater ids; see byRest.
   * `retryMs`: how long to wait before what may pass is tried again.
   *
   * Several of one user on one socket share a channel, since a socket has one of a topic.
   */
  constructor(socket, userId, options) {
    const { afterId, onMessage, onCaughtUp, onLost, onRefused, readOn, retryMs = RETRY_MS } = options ?? {}
    this.#retryMs = retryMs
    const heard = { ...options?.on, read: options?.onRead, typing: options?.onTyping }
    this.#member = {
      readOn,
      afterId: () => this.#afterId,
      advanced: (id) => (this.#afterId = Math.max(this.#afterId, id)),
      seen: (message, isLive) => {
        if (this.#seen.has(message.id)) return
        this.#seen.add(message.id)
        if (this.#seen.size > REMEMBERED_IDS) this.#seen.delete(this.#seen.values().next().value)
        tell(onMessage, message, { isLive })
      },
      caughtUp: () => tell(onCaughtUp),
      lost: () => tell(onLost),
      refused: (reason) => tell(onRefused, reason),
      events: Object.keys(heard),
      heard: (event, payload) => tell(heard[event], payload),
      changed: () => tell(options?.onChange),
    }
    this.#topic = Topic.of(socket, `private_chat:${userId}`, retryMs)
    this.#topic.wait(this.#member)
    if (typeof afterId === "function") this.#ask(afterId)
    else this.#begin(afterId)
  }

  /** The channel of phoenix.js, for `access_token`; null before the first join. */
  get channel() {
    return this.#topic.channel
  }

  /** The greatest id up to which everything was seen: keep it, and begin there the next time. Null until it is known. */
  get afterId() {
    return this.#afterId
  }

  get isCaughtUp() {
    return this.#afterId !== null && this.#topic.isCaughtUp
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

  /** Whether the message with that client_ref waits for the server's answer now. */
  isUnderWay(ref) {
    return this.#topic.outgoing.isUnderWay(ref)
  }

  /** Tells that this user has read what that one wrote, up to that id. False when there is no connection to tell it on. */
  read(userId, upTo) {
    return this.push("read", { with: String(userId), up_to: upTo })
  }

  /** Tells that this user is writing to that one. False when there is no connection to tell it on. */
  typing(userId) {
    return this.push("typing", { to: String(userId) })
  }

  /** Pushes an event that is about this moment, or can be told again. False when there is no connection to push it on. */
  push(event, payload) {
    return this.#left === null && this.#topic.push(event, payload)
  }

  /** Leaves; what is unanswered stays so. */
  leave() {
    this.#left ??= this.unanswered
    this.#topic.exit(this.#member)
  }

  async #ask(afterId) {
    try {
      this.#begin(await afterId())
    } catch {
      setTimeout(() => this.#left === null && this.#ask(afterId), this.#retryMs)
    }
  }

  #begin(afterId) {
    this.#afterId = startingId(afterId)
    this.#topic.enter(this.#member)
  }
}

/** What an application does with the news is not allowed to stop the chat, at once or later. */
async function tell(hook, ...news) {
  try {
    await hook?.(...news)
  } catch (error) {
    console.error(error)
  }
}
