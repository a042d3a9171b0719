// Why a message was not stored.

const COULD_NOT_BE_SENT = "could not be sent"

/**
 * The message was not stored, and the same again would not be either. `reason` is the server's (`invalid message`,
 * `user not found`, `blocked`), or `could not be sent` when it was given up after three tries, or `left`.
 * `errors` holds lists of sentences by field.
 */
export class SendRefused extends Error {
  constructor({ reason: given, errors } = {}) {
    const reason = typeof given === "string" ? given : COULD_NOT_BE_SENT
    super(reason)
    this.name = "SendRefused"
    this.reason = reason
    this.errors = errors !== null && typeof errors === "object" ? errors : {}
  }
}
