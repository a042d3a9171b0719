// How a client of private chat loses nothing, with the npm package `phoenix` (1.8). Needs neither a page nor Node.
//
//   import { Socket } from "phoenix"
//   import { PrivateChat, byRest } from "./private_chat.js"
//
//   const socket = new Socket("wss://HOSTNAME/socket", { authToken: () => token })
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
//    the same one after the next join, until it is acknowledged or refused: the server stores it once.

/** Reasons that pass: nothing is wrong with the message. */
const PASSING = new Set(["try again", "too many requests"])
const RETRY_MS = 1_000
const REMEMBERED_IDS = 10_000

/** The server will not have the message; the same again would be refused again. */
export class SendRefused extends Error {
  constructor({ reason, errors = {} }) {
    super(reason)
    this.reason = reason
    /** By field. */
    this.errors = errors
  }
}

export class PrivateChat {
  #socket
  #userId
  #options
  #channel = null
  #afterId
  /** The greatest id that came live while the gap was still open. */
  #liveId = 0
  #isCaughtUp = false
  /** Of a join, so that what belongs to an earlier one is known. */
  #turn = 0
  #seen = new Set()
  /** By client_ref, in the order of their sending. */
  #unanswered = new Map()
  #timers = new Set()

  /**
   * `socket` is a Socket of phoenix.js. The options, none of which is needed:
   * `afterId`: a number; with 0 the server tells everything from the beginning.
   * `onMessage(message)`: `{id, from, to, message, listing_id, inserted_at, read_at}`, each once.
   * `onCaughtUp()`: nothing is missing now. `onLost()`: the connection is gone, phoenix.js tries again by itself.
   * `onRefused(reason)`: the join was refused; it is tried again.
   * `readOn(afterId)`: an async iterable of lists of messages with greater ids; see byRest.
   * `retryMs`: how long to wait before what may pass is tried again.
   */
  constructor(socket, userId, options = {}) {
    this.#socket = socket
    this.#userId = String(userId)
    this.#options = { retryMs: RETRY_MS, ...options }
    this.#afterId = options.afterId ?? 0
    this.#join()
  }

  /** The channel of phoenix.js, for `typing`, `read` and `access_token`. */
  get channel() {
    return this.#channel
  }

  /** The greatest id up to which everything was seen: keep it, and begin there the next time. */
  get afterId() {
    return this.#afterId
  }

  get isCaughtUp() {
    return this.#isCaughtUp
  }

  /** Sends without an answer, oldest first; keep them too, and hand them in again with their client_ref. */
  get unanswered() {
    return [...this.#unanswered.values()].map(({ payload }) => payload)
  }

  /** Resolves with `{id, inserted_at}` when the message is stored, however long that takes; rejects with SendRefused. */
  send(message) {
    const payload = { ...message, client_ref: message.client_ref ?? newRef() }
    return new Promise((resolve, reject) => {
      this.#unanswered.set(payload.client_ref, { payload, resolve, reject })
      if (this.#isCaughtUp) this.#push(payload.client_ref)
    })
  }

  /** Leaves; what is unanswered stays so. */
  leave() {
    this.#lost()
    this.#channel.leave()
    this.#channel = null
  }

  #join() {
    const channel = this.#socket.channel(`private_chat:${this.#userId}`, () => ({ after_id: this.#afterId }))
    this.#channel = channel
    channel.on("send", (message) => channel === this.#channel && this.#live(message))
    channel.onError(() => channel === this.#channel && this.#lost())
    channel
      .join()
      .receive("ok", (answer) => channel === this.#channel && this.#joined(answer))
      .receive("error", ({ reason }) => channel === this.#channel && this.#options.onRefused?.(reason))
  }

  #lost() {
    const wasCaughtUp = this.#isCaughtUp
    this.#turn += 1
    this.#isCaughtUp = false
    this.#liveId = 0
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    if (wasCaughtUp) this.#options.onLost?.()
  }

  async #joined({ messages, complete }) {
    // Also after a join that phoenix.js repeated because its answer was late: what came live before counts no more.
    this.#lost()
    const turn = this.#turn
    this.#missed(messages)
    if (!complete) {
      if (this.#options.readOn === undefined) return this.#rejoin()
      try {
        for await (const page of this.#options.readOn(this.#afterId)) {
          if (turn !== this.#turn) return
          this.#missed(page)
        }
      } catch {
        if (turn === this.#turn) this.#later(() => this.#rejoin())
        return
      }
      if (turn !== this.#turn) return
    }
    this.#afterId = Math.max(this.#afterId, this.#liveId)
    this.#isCaughtUp = true
    this.#options.onCaughtUp?.()
    for (const ref of [...this.#unanswered.keys()]) this.#push(ref)
  }

  /** A channel joins once: to join again takes another one, whose join ends this one on the server. */
  #rejoin() {
    this.#lost()
    this.#channel.leave()
    this.#join()
  }

  /** Messages of the past, oldest first. */
  #missed(messages) {
    for (const message of messages) {
      this.#show(message)
      this.#afterId = Math.max(this.#afterId, message.id)
    }
  }

  #live(message) {
    this.#show(message)
    if (this.#isCaughtUp) this.#afterId = Math.max(this.#afterId, message.id)
    else this.#liveId = Math.max(this.#liveId, message.id)
  }

  #show(message) {
    if (this.#seen.has(message.id)) return
    this.#seen.add(message.id)
    if (this.#seen.size > REMEMBERED_IDS) this.#seen.delete(this.#seen.values().next().value)
    this.#options.onMessage?.(message)
  }

  #push(ref) {
    const entry = this.#unanswered.get(ref)
    if (entry === undefined || !this.#isCaughtUp) return
    const turn = this.#turn
    const again = () => turn === this.#turn && this.#later(() => this.#push(ref))
    this.#channel
      .push("send", entry.payload)
      .receive("ok", (answer) => {
        if (this.#unanswered.delete(ref)) entry.resolve(answer)
      })
      .receive("error", (response) => {
        if (PASSING.has(response.reason)) again()
        else if (this.#unanswered.delete(ref)) entry.reject(new SendRefused(response))
      })
      .receive("timeout", again)
  }

  /** After a while, unless the connection is lost before. */
  #later(action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, this.#options.retryMs)
    this.#timers.add(timer)
  }
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
    } while (cursor !== null)
  }

/** Never used before by this user, on any device. */
function newRef() {
  const random = () => Math.random().toString(36).slice(2)
  return `${Date.now().toString(36)}-${random()}${random()}`
}
