// Why a message was not stored.

const COULD_NOT_BE_SENT = "could not be sent"

/**
 * The message was not stored, and the same again would not be either. `reason` is the server's (`invalid message`,
 * `user not found`, `blocked`), or `could not be sent` when the connection broke over it three times, or `left`.
 * `errors` holds lists of sentences by field.
 */
export class SendRefused extends Error {
  constructor({ reason = COULD_NOT_BE_SENT, errors = {} } = {}) {
    super(reason)
    this.name = "SendRefused"
    this.reason = reason
    this.errors = errors
  }
}
