// Reads messages by REST when the reply to a join did not have all of them.

/** Makes a `readOn` that yields the pages of `GET /api/messages?after_id`. `token()` returns a valid access token. */
export const byRest = (url, token) =>
  async function* (afterId) {
    let cursor = null
    do {
      const query = new URLSearchParams({ after_id: afterId, limit: 100, ...(cursor && { cursor }) })
      const headers = { authorization: `Bearer ${token()}` }
      const response = await fetch(`${url}/api/messages?${query}`, { headers })
      if (!response.ok) throw new Error(`messages could not be read: ${response.status}`)
      const { data, next_cursor } = await response.json()
      yield data
      cursor = next_cursor
    } while (cursor)
  }
