// The client of private chat: the class that an application uses.

import { startingId } from "./ids.js"
import { inTime } from "./in_time.js"
import { sendable } from "./sendable.js"
import { SendRefused } from "./send_refused.js"
import { Topic } from "./topic.js"

const RETRY_MS = 1_000
const REMEMBERED_IDS = 10_000

export class PrivateChat {
  #topic
  #retryMs
  #member
  /** Null until `afterId` has answered. */
  #afterId = null
  #seen = new Set()
  /** The sends without an answer at the time of `leave`; null before. */
  #left = null

  /**
   * `socket` is a Socket of phoenix.js. All options are optional:
   * `afterId`: a number or its digits; with 0, or a value that is not an id, the server sends everything from the
   * beginning. Or a function that returns a promise of the id: it is called before the first join, and again after
   * `retryMs` if it fails or has not answered for 30 seconds.
   * `onMessage(message, {isLive})`: called once for each message, `{id, from, to, message, listing_id, inserted_at,
   * read_at}`; `isLive` is false for messages from catching up. A message of this user with `held: true` waits for a moderator;
   * if it is delivered, it comes again with another id, and with the first one as `was_id`.
   * `onRead({by, with, up_to})`, `onTyping({from, to})`: acts of the other person, or of this user on another device.
   * `onDeleted({id})`: the sender has deleted the message; live, also `{from, to, deleted_at}`. It may come before the message
   * itself, or again. `onMoreDeleted()`: more were deleted while the client was away than the server names: read again the
   * conversations that you keep.
   * `on`: functions for other events of the topic, by event name: `{wave: ({from, to}) => ...}`.
   * `onChange()`: a message of `send` has started or stopped being under way.
   * `onCaughtUp()`: no message is missing now. `onLost()`: the connection is lost; the client reconnects by itself.
   * `onRefused(reason)`: the server refused the join; the client tries again.
   * `readOn(afterId)`: returns an async iterable of lists of messages with greater ids; see byRest. If it fails, or the next list
   * takes longer than 30 seconds, the chat joins again.
   * `retryMs`: the wait before a failed join, read or send is tried again.
   *
   * A socket has one channel for each topic, so several PrivateChats of one user on one socket share it.
   */
  constructor(socket, userId, options) {
    const { afterId, onMessage, onCaughtUp, onLost, onRefused, readOn, retryMs = RETRY_MS } = options ?? {}
    this.#retryMs = retryMs
    const heard = { ...options?.on, read: options?.onRead, typing: options?.onTyping, deleted: options?.onDeleted }
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
      deleted: (ids, hasMore) => {
        for (const id of ids) tell(heard.deleted, { id })
        if (hasMore) tell(options?.onMoreDeleted)
      },
      events: Object.keys(heard),
      heard: (event, payload) => tell(heard[event], payload),
      changed: () => tell(options?.onChange),
    }
    this.#topic = Topic.of(socket, `private_chat:${userId}`, retryMs)
    this.#topic.wait(this.#member)
    if (typeof afterId === "function") this.#ask(afterId)
    else this.#begin(afterId)
  }

  /** The phoenix.js channel, for pushing `access_token`; null before the first join. */
  get channel() {
    return this.#topic.channel
  }

  /**
   * The greatest id up to which everything was seen; null until known. Store it, and pass it as `afterId` next time.
   */
  get afterId() {
    return this.#afterId
  }

  get isCaughtUp() {
    return this.#afterId !== null && this.#topic.isCaughtUp
  }

  /** Payloads of sends without an answer, oldest first. Store them too, and send them again with their client_ref. */
  get unanswered() {
    return this.#left ?? this.#topic.outgoing.payloads(this.#member)
  }

  /**
   * Sends `{to, message, listing_id, client_ref, pictures}`; the last three are optional, other keys are dropped, and an unpaired
   * surrogate becomes U+FFFD. Resolves with `{id, inserted_at}` when the message is stored, however long the server is
   * away; rejects with SendRefused. Two sends with the same client_ref are one message.
   */
  async send(message) {
    if (this.#left) throw new SendRefused({ reason: "left" })
    return this.#topic.outgoing.send(sendable(message), this.#member)
  }

  /** True while the message with this client_ref has been sent and waits for the server's answer. */
  isUnderWay(ref) {
    return this.#topic.outgoing.isUnderWay(ref)
  }

  /** Says that this user has read the messages of `userId` up to the id `upTo`. False if there is no connection. */
  read(userId, upTo) {
    return this.push("read", { with: String(userId), up_to: upTo })
  }

  /** Says that this user is writing to `userId`. False if there is no connection. */
  typing(userId) {
    return this.push("typing", { to: String(userId) })
  }

  /** Pushes any other event, and returns whether there was a connection. The event is not queued or repeated. */
  push(event, payload) {
    return this.#left === null && this.#topic.push(event, payload)
  }

  /** Leaves the chat. Sends without an answer stay without one; `unanswered` returns them. */
  leave() {
    this.#left ??= this.unanswered
    this.#topic.exit(this.#member)
  }

  async #ask(afterId) {
    try {
      this.#begin(await inTime(afterId()))
    } catch {
      setTimeout(() => this.#left === null && this.#ask(afterId), this.#retryMs)
    }
  }

  #begin(afterId) {
    this.#afterId = startingId(afterId)
    this.#topic.enter(this.#member)
  }
}

/** Calls a hook of the application; an exception or rejection is logged and does not stop the chat. */
async function tell(hook, ...news) {
  try {
    await hook?.(...news)
  } catch (error) {
    console.error(error)
  }
}
