// Checks what arrives from the network before it is used: a faulty server or proxy can send anything.

import { isId } from "./ids.js"

/** True if the value has a valid id. The application interprets the other fields. */
export function isMessage(message) {
  return message !== null && typeof message === "object" && isId(message.id)
}

export function isPage(messages) {
  return Array.isArray(messages) && messages.every(isMessage)
}

/** Returns the reply to a join, `{messages, complete, deleted, more_deleted}`, or null if it is malformed. */
export function readJoin(answer) {
  const areIds = (ids) => Array.isArray(ids) && ids.every(isId)
  const isReadable =
    isPage(answer?.messages) && typeof answer.complete === "boolean" && (answer.deleted === undefined || areIds(answer.deleted))
  return isReadable ? answer : null
}
