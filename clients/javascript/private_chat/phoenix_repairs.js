// What versions of phoenix.js cannot do, or do wrong: mended from outside, in the socket or the transport that is given.

/** `authToken` may be a function since 1.8.9. Versions before make text of what they are given: let that be the token. */
export function understandTokenFunction(socket) {
  const ask = socket.authToken
  if (typeof ask === "function") socket.authToken = Object.assign(() => ask(), { toString: () => String(ask()) })
}

const guarded = new WeakSet()

/**
 * phoenix.js believes every JSON that answers a poll. One that something else than the server made, as an API gateway's
 * own 503, ends its polling without a word: here it counts as no answer, after which phoenix.js tries again.
 */
export function surviveForeignAnswers(LongPoll) {
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
