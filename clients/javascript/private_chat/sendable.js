// Makes the payload of a message: repairs what can be repaired, refuses what no server accepts.

import { digits } from "./ids.js"
import { SendRefused } from "./send_refused.js"

/** Counted as the server counts: in code points, not in UTF-16 units. */
const MAX_TEXT_LENGTH = 4_000
const MAX_CLIENT_REF_LENGTH = 200

/**
 * Returns the payload for a message, `{to, message, listing_id, client_ref, pictures}`, which every server can read. Throws
 * SendRefused, with the server's own words, if no server accepts the message.
 */
export function sendable(message) {
  if (message === null || typeof message !== "object") {
    throw new SendRefused({ reason: "invalid message", errors: { payload: ["Not an object."] } })
  }
  const { to, message: text, listing_id: listingId, client_ref: ref } = message
  const errors = {}
  const fault = textFault(text)
  if (fault) errors.message = [fault]
  if (to === undefined || to === null) errors.to = ["Missing."]
  else if (digits(to) === null) throw new SendRefused({ reason: "user not found" })
  const payload = { to: digits(to), message: fault ? null : wellFormed(text) }
  if (listingId !== undefined && listingId !== null) {
    payload.listing_id = digits(listingId)
    if (payload.listing_id === null) errors.listing_id = ["Not an id."]
  }
  // Only if there are any: a server of an earlier version ignores them.
  if (Array.isArray(message.pictures) && message.pictures.length > 0) payload.pictures = message.pictures
  payload.client_ref = ref ?? newRef()
  const refFault = ref === undefined || ref === null ? null : clientRefFault(ref)
  if (refFault) errors.client_ref = [refFault]
  if (Object.keys(errors).length > 0) throw new SendRefused({ reason: "invalid message", errors })
  return payload
}

function textFault(text) {
  if (text === undefined || text === null) return "Missing."
  if (typeof text !== "string") return "Not a string."
  if (isLonger(text, MAX_TEXT_LENGTH)) return `Longer than ${MAX_TEXT_LENGTH} characters.`
  return null
}

function clientRefFault(ref) {
  if (typeof ref !== "string") return "Not a string."
  if (ref === "" || isLonger(ref, MAX_CLIENT_REF_LENGTH)) return `Between 1 and ${MAX_CLIENT_REF_LENGTH} characters.`
  // A ref is not repaired: two different refs could become equal.
  if (ref !== wellFormed(ref)) return "Contains characters that cannot be stored."
  return null
}

function isLonger(text, longest) {
  return text.length > longest && (text.length > 2 * longest || [...text].length > longest)
}

/** Replaces unpaired surrogates, as String.prototype.toWellFormed does, which some browsers still lack. */
function wellFormed(text) {
  return text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, (found) => (found.length === 2 ? found : "\uFFFD"))
}

/** Returns a client_ref that this user has never used, on any device. */
export function newRef() {
  const random = () => Math.random().toString(36).slice(2)
  return `${Date.now().toString(36)}-${random()}${random()}`
}
