// The error with which a send rejects.

const COULD_NOT_BE_SENT = "could not be sent"

/**
 * The message was not stored, and sending it again now would not help. `reason` is the server's (`invalid message`,
 * `user not found`, `blocked`, `you blocked this person`, `only about listings`, `not confirmed`, `too many new people`,
 * `unread warning`, `unauthorized`), or `could not be sent` after three tries, or `left` after `leave`. `errors` maps each
 * field to a list of sentences. `again_at` is the time from which `too many new people` no longer holds, in the form of
 * RFC 3339; null for other reasons.
 */
export class SendRefused extends Error {
  constructor({ reason: serverReason, errors, again_at: againAt } = {}) {
    const reason = typeof serverReason === "string" ? serverReason : COULD_NOT_BE_SENT
    super(reason)
    this.name = "SendRefused"
    this.reason = reason
    this.again_at = typeof againAt === "string" ? againAt : null
    this.errors = errors !== null && typeof errors === "object" ? errors : {}
  }
}
