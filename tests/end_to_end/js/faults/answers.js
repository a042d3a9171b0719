// Servers that answer with something odd, late or never.

import assert from "node:assert/strict"
import { USER, chatWith, say } from "./chats.js"
import { Scripted } from "./scripted.js"
import { until } from "./waiting.js"

export const cases = {
  ...Object.fromEntries(
    [
      ["null", null],
      ["an_empty_object", {}],
      ["messages_that_are_no_list", { messages: {} }],
      ["a_message_that_is_null", { messages: [null], complete: true }],
      ["no_messages", { complete: true }],
      ["a_text_for_complete", { messages: [], complete: "yes" }],
    ].map(([what, odd]) => [
      `a_join_that_is_answered_with_${what}_is_tried_again`,
      async () => {
        const server = await new Scripted().start()
        server.joinAnswer = (count) => (count < 3 ? odd : undefined)
        const chat = chatWith(server)
        assert.equal(await say(chat, "a"), 1)
        assert.deepEqual([server.joins.length, server.connects.length], [3, 1])
      },
    ]),
  ),

  async malformed_live_messages_are_ignored() {
    const server = await new Scripted().start()
    const shown = []
    const chat = chatWith(server, { onMessage: ({ id }) => shown.push(id) })
    assert.equal(await say(chat, "a"), 1)
    for (const payload of [null, [], {}, "text", { id: null }, { id: "5" }, { id: 5 }]) {
      for (const event of ["read", "typing", "send"]) {
        for (const ws of server.open) ws.send(JSON.stringify([null, null, `private_chat:${USER}`, event, payload]))
      }
    }
    await until(() => shown.length > 0)
    assert.deepEqual([shown, chat.afterId], [[5], 5])
    assert.equal(await say(chat, "b"), 2)
  },

  async a_message_that_is_never_answered_does_not_delay_the_others() {
    const server = await new Scripted({ takes: ({ message }) => message !== "ignored" }).start()
    const chat = chatWith(server)
    say(chat, "ignored")
    assert.deepEqual(await Promise.all([say(chat, "a"), say(chat, "b")]), [1, 2])
  },

  async a_message_that_is_refused_for_a_while_is_repeated_until_it_is_stored() {
    let refusals = 0
    const server = await new Scripted({
      takes: (_, { answer }) => {
        refusals += 1
        // The server takes messages again after a pause, and not between two of them, so they keep their order.
        if (refusals > 13) return true
        answer("error", { reason: ["try again", "too many requests"][refusals % 2] })
        return false
      },
    }).start()
    const chat = chatWith(server)
    assert.deepEqual(await Promise.all(["a", "b", "c"].map((text) => say(chat, text))), [1, 2, 3])
    assert.deepEqual(server.texts, ["a", "b", "c"])
  },

  async a_server_that_has_forgotten_the_channel_is_joined_again() {
    const server = await new Scripted({
      takes: (_, { answer }) => server.joins.length > 1 || (answer("error", { reason: "unmatched topic" }), false),
    }).start()
    assert.equal(await say(chatWith(server), "a"), 1)
    assert.equal(server.connects.length, 1)
  },

  async a_channel_that_the_server_closes_is_joined_again() {
    const server = await new Scripted().start()
    const chat = chatWith(server)
    assert.equal(await say(chat, "a"), 1)
    for (const ws of server.open) ws.send(JSON.stringify([null, null, `private_chat:${USER}`, "phx_close", {}]))
    await until(() => server.joins.length === 2)
    assert.equal(await say(chat, "b"), 2)
  },
}
