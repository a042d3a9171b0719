// Outages, which do not count as tries of a message.

import assert from "node:assert/strict"
import { chatWith, say } from "./chats.js"
import { Scripted } from "./scripted.js"

export const cases = {
  ...Object.fromEntries(
    [1001, 1012, 1013].map((code) => [
      `a_message_survives_a_server_that_closes_with_${code}_three_times`,
      async () => {
        const server = await new Scripted({ takes: (_, { ws }) => server.connects.length > 3 || ws.close(code) }).start()
        const chat = chatWith(server)
        assert.deepEqual(await Promise.all([say(chat, "a"), say(chat, "b")]), [1, 2])
        assert.deepEqual(server.texts, ["a", "b"])
      },
    ]),
  ),

  async a_message_survives_a_server_that_is_away_and_then_silent() {
    const server = await new Scripted({ beats: () => server.connects.length > 7 }).start()
    server.takes = () => server.connects.length > 7
    server.refuses = (socket) => {
      const count = server.connects.length
      if (count <= 5) socket.destroy()
      return count <= 5
    }
    const chat = chatWith(server, {}, { heartbeatIntervalMs: 500 })
    assert.deepEqual(await Promise.all([say(chat, "a"), say(chat, "b")]), [1, 2])
    assert.deepEqual(server.texts, ["a", "b"])
  },

  async a_broken_connection_without_an_answer_is_no_try_of_a_message() {
    // The first seven connections are cut before an answer comes.
    const server = await new Scripted({ opened: (ws, count) => count < 8 && setTimeout(() => ws.terminate(), 120) }).start()
    server.takes = () => server.connects.length >= 8
    const chat = chatWith(server)
    assert.deepEqual(await Promise.all([say(chat, "a"), say(chat, "b")]), [1, 2])
  },
}
