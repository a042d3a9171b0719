// Reads messages by REST when the reply to a join did not have all of them.

import { LIMIT_MS } from "./in_time.js"

/**
 * Makes a `readOn` that yields the pages of `GET /api/messages?after_id`. `token()` returns a valid access token. A request
 * that has no answer after `limitMs` fails; runtimes without `AbortSignal.timeout` end it later themselves.
 */
export const byRest = (url, token, { limitMs = LIMIT_MS } = {}) =>
  async function* (afterId) {
    let cursor = null
    do {
      const query = new URLSearchParams({ after_id: afterId, limit: 100, ...(cursor && { cursor }) })
      const headers = { authorization: `Bearer ${token()}` }
      const response = await fetch(`${url}/api/messages?${query}`, { headers, signal: AbortSignal.timeout?.(limitMs) })
      if (!response.ok) throw new Error(`messages could not be read: ${response.status}`)
      const { data, next_cursor } = await response.json()
      yield data
      cursor = next_cursor
    } while (cursor)
  }
