// Works around faults and gaps of phoenix.js versions, by changing the socket or transport that it is given.

/** `authToken` may be a function from 1.8.9 on. Earlier versions convert it to text: let that text be the token. */
export function understandTokenFunction(socket) {
  const ask = socket.authToken
  if (typeof ask === "function") socket.authToken = Object.assign(() => ask(), { toString: () => String(ask()) })
}

const guarded = new WeakSet()
/**
 * Least time between polls. A server without news holds a poll; an empty answer that comes at once is held back here.
 */
const POLL_MS = 1_200
/** A 410 within YOUNG_MS of the one before is held back END_MS, because phoenix.js sends two more polls at once. */
const YOUNG_MS = 10_000
const END_MS = 3_000
/** Transport -> when its last 410 came. */
const openedAt = new WeakMap()

const ordered = new WeakSet()

/**
 * phoenix.js before 1.7 sends each message on long polls in its own request, all at the same time, so the server gets
 * them in any order. Here a request begins when the previous one was answered or given up.
 */
export function sendInOrder(LongPoll) {
  const { prototype } = LongPoll
  if (typeof prototype.ajax !== "function" || ordered.has(prototype)) return
  ordered.add(prototype)
  const { ajax } = prototype
  /** Transport -> the requests that have not begun. A transport without an entry has no current request. */
  const waiting = new WeakMap()

  const begin = (transport, args) => {
    const [onTimeout, onAnswer] = args.slice(-2)
    const others = args.slice(0, -2)
    const next = () => {
      const following = waiting.get(transport).shift()
      if (following) begin(transport, following)
      else waiting.delete(transport)
    }
    const timedOut = () => {
      onTimeout()
      next()
    }
    const answered = (answer) => {
      onAnswer(answer)
      // After a refusal, phoenix.js drops the transport and all messages that it has not sent.
      if (answer?.status === 200) next()
    }
    ajax.call(transport, "POST", ...others, timedOut, answered)
  }

  prototype.ajax = function (method, ...args) {
    if (method !== "POST") return ajax.call(this, method, ...args)
    if (waiting.has(this)) return void waiting.get(this).push(args)
    waiting.set(this, [])
    begin(this, args)
  }
}

/**
 * phoenix.js trusts any JSON that answers a poll. JSON from something other than the server, such as an API gateway's
 * 503, silently ends its polling. Here such an answer counts as no answer, and phoenix.js tries again. An empty answer
 * that comes at once is held back, so that there are not dozens of polls a second.
 */
export function surviveForeignAnswers(LongPoll) {
  const { prototype } = LongPoll
  if (typeof prototype.ajax !== "function" || guarded.has(prototype)) return
  guarded.add(prototype)
  const { ajax } = prototype
  prototype.ajax = function (method, ...rest) {
    const callback = rest.pop()
    if (method !== "GET") return ajax.call(this, method, ...rest, callback)
    const askedAt = Date.now()
    return ajax.call(this, method, ...rest, (received) => {
      const answer = isPollAnswer(received) ? withReadable(received) : null
      const early = askedAt + shortest(this, answer) - Date.now()
      if (early <= 0) return callback(answer)
      return setTimeout(() => this.isActive() && callback(answer), early)
    })
  }
}

/** Returns the least time in ms that a poll with this answer takes. Without an answer, phoenix.js waits by itself. */
function shortest(transport, answer) {
  if (answer?.status === 410) {
    const isYoung = Date.now() - (openedAt.get(transport) ?? 0) < YOUNG_MS
    openedAt.set(transport, Date.now())
    return isYoung ? END_MS : 0
  }
  const isEmpty = [200, 204].includes(answer?.status) && !(answer.messages?.length > 0)
  return isEmpty ? POLL_MS : 0
}

/** Drops messages that phoenix.js would throw on. */
function withReadable(answer) {
  if (answer.status === 200) answer.messages = answer.messages.filter(isReadable)
  return answer
}

function isReadable(message) {
  try {
    const frame = JSON.parse(message)
    return frame !== null && typeof frame === "object"
  } catch {
    return false
  }
}

function isPollAnswer(answer) {
  if (answer === null || typeof answer !== "object") return false
  const { status, token, messages } = answer
  if (status === 403 || status === 500) return true
  // The other statuses come with a session token. Without one, phoenix.js would poll again at once, without end.
  if (typeof token !== "string") return false
  return status === 204 || status === 410 || (status === 200 && Array.isArray(messages))
}
