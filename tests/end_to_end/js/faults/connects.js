// Connects and polls: a hanging one is given up, and there is no more than one in a second.

import assert from "node:assert/strict"
import { createServer } from "node:http"
import { chatWith, say } from "./chats.js"
import { LongPoll } from "./given.js"
import { Scripted, listening } from "./scripted.js"
import { counts, pace, until } from "./waiting.js"

export const cases = {
  async a_hanging_connect_is_given_up() {
    const server = await new Scripted().start()
    server.refuses = () => server.connects.length === 1
    const chat = chatWith(server)
    assert.equal(await say(chat, "a"), 1)
    assert.equal(server.connects.length, 2)
  },

  async the_client_connects_again_after_a_close_with_1000() {
    const server = await new Scripted({ opened: (ws, count) => count === 1 && setTimeout(() => ws.close(1000), 300) }).start()
    const chat = chatWith(server)
    await until(() => server.connects.length === 2, "a second connect")
    assert.equal(await say(chat, "a"), 1)
  },

  ...Object.fromEntries(
    [
      ["cuts_at_once", { opened: (ws) => ws.terminate() }],
      ["resets_at_once", { opened: (ws) => ws._socket.resetAndDestroy() }],
      ["cuts_after_300_ms", { opened: (ws) => setTimeout(() => ws.terminate(), 300) }],
      ["closes_with_1012_after_300_ms", { opened: (ws) => setTimeout(() => ws.close(1012), 300) }],
      ["closes_with_1011_at_each_frame", { opened: (ws) => ws.on("message", () => ws.close(1011)) }],
      ["refuses_each_token", { refuses: (socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n") }],
      ["drops_each_connect", { refuses: (socket) => socket.destroy() ?? true }],
      ["never_answers_a_connect", { refuses: () => true }],
    ].flatMap(([how, does]) =>
      [false, true].map((fallsBack) => [
        `no_more_than_one_connect_a_second_goes_to_a_server_that_${how}${fallsBack ? "_with_the_fallback" : ""}`,
        async () => {
          const server = Object.assign(await new Scripted(does).start(), does)
          let others = 0
          server.http.on("request", (_, response) => {
            others += 1
            response.end('{"status":403}')
          })
          const chat = chatWith(server, {}, fallsBack ? { longPollFallbackMs: 2_500 } : {})
          say(chat, "never")
          const seconds = await pace()
          const count = server.connects.length + others
          counts[how + (fallsBack ? " +fallback" : "")] = count
          assert.ok(count <= seconds, `${count} connects in ${seconds} s`)
        },
      ]),
    ),
  ),

  ...Object.fromEntries(
    [
      ["204", { status: 204, messages: [] }],
      ["204_without_a_list", { status: 204 }],
      ["200_without_messages", { status: 200, messages: [] }],
      ["200_with_messages_that_nobody_can_read", { status: 200, messages: ["<html>", null, 7] }],
      ["410", { status: 410, messages: [] }],
    ].map(([what, answer]) => [
      `no_more_than_one_poll_a_second_goes_to_a_server_that_answers_each_at_once_with_${what}`,
      async () => {
        let polls = 0
        const server = createServer((message, response) => {
          response.setHeader("content-type", "application/json")
          if (message.method === "POST") return response.end('{"status":200}')
          polls += 1
          return response.end(JSON.stringify(polls === 1 ? { status: 410, token: "t", messages: [] } : { token: "t", ...answer }))
        })
        const chat = chatWith({ url: `ws://127.0.0.1:${await listening(server)}/socket` }, {}, { transport: LongPoll })
        say(chat, "never")
        const seconds = await pace()
        counts[`polls, each answered ${what}`] = polls
        assert.ok(polls <= seconds, `${polls} polls in ${seconds} s`)
      },
    ]),
  ),
}
