// The payload of a message: refused here if no server takes it, mended where it can be.

import { digits } from "./ids.js"
import { SendRefused } from "./send_refused.js"

/** As the server counts: code points, not UTF-16 units. */
const MAX_TEXT_LENGTH = 4_000
const MAX_CLIENT_REF_LENGTH = 200

/**
 * The payload for a message, `{to, message, listing_id, client_ref}`: always such that a server can read it. Throws
 * SendRefused, with the server's own words, for what no server takes.
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
  // Mended, two that were different could be one.
  if (ref !== wellFormed(ref)) return "Contains characters that cannot be stored."
  return null
}

function isLonger(text, longest) {
  return text.length > longest && (text.length > 2 * longest || [...text].length > longest)
}

/** Half an emoji is nothing that can be sent. String.prototype.toWellFormed, which is not everywhere yet. */
function wellFormed(text) {
  return text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, (found) => (found.length === 2 ? found : "\uFFFD"))
}

/** Never used before by this user, on any device. */
export function newRef() {
  const random = () => Math.random().toString(36).slice(2)
  return `${Date.now().toString(36)}-${random()}${random()}`
}
