// The error with which a send rejects.

const COULD_NOT_BE_SENT = "could not be sent"

/**
 * The message was not stored, and sending it again would not help. `reason` is the server's (`invalid message`,
 * `user not found`, `blocked`, `not confirmed`, `too many new people`,
 * `unauthorized`), or `could not be sent` after three tries, or `left`
 * after `leave`. `errors` maps each field to a list of sentences.
 */
export class SendRefused extends Error {
  constructor({ reason: serverReason, errors } = {}) {
    const reason = typeof serverReason === "string" ? serverReason : COULD_NOT_BE_SENT
    super(reason)
    this.name = "SendRefused"
    this.reason = reason
    this.errors = errors !== null && typeof errors === "object" ? errors : {}
  }
}
