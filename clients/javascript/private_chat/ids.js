// Ids as applications have them: numbers, bigints, or text.

/** Of an id, which is a number, a bigint or text; null for what is none. */
export function digits(id) {
  const text = typeof id === "bigint" || Number.isSafeInteger(id) ? String(id) : id
  return typeof text === "string" && /^[1-9][0-9]{0,18}$/.test(text) ? text : null
}

/** Where catching up begins: applications keep numbers as text, or have none yet. */
export function startingId(afterId) {
  const text = digits(afterId)
  return text !== null && Number.isSafeInteger(Number(text)) ? Number(text) : 0
}
