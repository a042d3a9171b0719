// What a server says, looked at before it is believed: a broken one, or something on the way, says anything.

import { isId } from "./ids.js"

/** By its id it is known; what else is in it, an application shows. */
export function isMessage(message) {
  return message !== null && typeof message === "object" && isId(message.id)
}

export function isPage(messages) {
  return Array.isArray(messages) && messages.every(isMessage)
}

/** `{messages, complete}` of an answer to a join; null for one that cannot be read. */
export function readJoin(answer) {
  const isReadable = isPage(answer?.messages) && typeof answer.complete === "boolean"
  return isReadable ? answer : null
}
