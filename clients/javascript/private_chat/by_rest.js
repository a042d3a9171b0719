// Reading on by REST, where an answer to a join was only a part.

/** For `readOn`: pages of `GET /api/messages?after_id`. `token()` gives a good access token. */
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
