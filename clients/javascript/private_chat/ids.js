// Converts ids. Applications hold them as numbers, bigints or text.

/** Returns the digits of an id (a number, a bigint or text), or null if the value is not an id. */
export function digits(id) {
  const text = typeof id === "bigint" || Number.isSafeInteger(id) ? String(id) : id
  return typeof text === "string" && /^[1-9][0-9]{0,18}$/.test(text) ? text : null
}

/** Returns the id after which catching up begins; 0 if the application has no valid id. */
export function startingId(afterId) {
  const text = digits(afterId)
  return text !== null && Number.isSafeInteger(Number(text)) ? Number(text) : 0
}

/** True for an id as the server writes it: a positive integer. */
export function isId(id) {
  return Number.isSafeInteger(id) && id > 0
}
