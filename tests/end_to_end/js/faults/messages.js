// Messages that the recipe refuses or corrects before it sends them, and messages that servers cannot take.

import assert from "node:assert/strict"
import { chatWith, outcome, say } from "./chats.js"
import { Scripted } from "./scripted.js"
import { tick, until } from "./waiting.js"

export const cases = {
  async invalid_messages_are_refused_at_once_and_the_messages_behind_them_are_sent() {
    const server = await new Scripted().start()
    const chat = chatWith(server)
    const circular = { to: "8" }
    circular.message = circular
    const bad = [
      [{ to: "8", message: "x".repeat(1_100_000) }, "invalid message"],
      [{ to: "8", message: "x".repeat(4_001) }, "invalid message"],
      [{ to: "8", message: "🚗".repeat(4_001) }, "invalid message"],
      [null, "invalid message"],
      [undefined, "invalid message"],
      ["text", "invalid message"],
      [{}, "invalid message"],
      [{ to: "8" }, "invalid message"],
      [circular, "invalid message"],
      ...[null, 10n, 5, Number.NaN, -0, () => 1, Symbol("x"), ["x"], new Date()].map((message) => [{ to: "8", message }, "invalid message"]),
      [{ message: "no recipient" }, "invalid message"],
      ...["\ud83d", "x".repeat(2_000_000), -1, 0, -0, Number.NaN, 1.5, Infinity, "08", " 8", {}, () => 8, 2 ** 60, 10n ** 30n].map((to) => [
        { to, message: "x" },
        "user not found",
      ]),
      ...["\ud83d", "x".repeat(2_000_000), -1, 1.5, Number.NaN, {}, () => 1].map((id) => [{ to: "8", message: "x", listing_id: id }, "invalid message"]),
      ...["\ud83d", "", "x".repeat(201), 7, 7n, {}, () => 1].map((ref) => [{ to: "8", message: "x", client_ref: ref }, "invalid message"]),
    ]
    const all = []
    for (const [message, reason] of bad) {
      all.push([outcome(chat.send(message)), reason])
      all.push([say(chat, `behind ${all.length}`), all.length / 2 + 0.5])
    }
    await until(() => server.stored.size === bad.length, "the storing of all messages behind")
    for (const [promise, expected] of all) if (typeof expected === "string") assert.equal(await promise, expected)
    assert.deepEqual(server.texts, bad.map((_, index) => `behind ${2 * index + 1}`))
    assert.equal(server.connects.length, 1)
  },

  async half_surrogate_pairs_numbers_and_unknown_fields_are_corrected() {
    const server = await new Scripted().start()
    const seen = []
    server.takes = (payload) => seen.push(payload)
    const chat = chatWith(server)
    await chat.send({ to: 8, message: "nice car 🚗".slice(0, -1) })
    await chat.send({ to: 8n, message: "\ude97 and 🚗\ud83d", listing_id: 5, more: 10n, nested: { half: "\ud83d" }, no: () => 1 })
    await chat.send({ to: 8.0, message: "🚗".repeat(4_000), listing_id: null, client_ref: "mine" })
    assert.deepEqual(seen.map(({ to, message }) => [to, message]), [
      ["8", "nice car \ufffd"],
      ["8", "\ufffd and 🚗\ufffd"],
      ["8", "🚗".repeat(4_000)],
    ])
    assert.deepEqual(Object.keys(seen[1]).sort(), ["client_ref", "listing_id", "message", "to"])
    assert.equal(seen[2].client_ref, "mine")
  },

  ...Object.fromEntries(
    [
      ["closes_with_1009", ({ ws }) => ws.close(1009)],
      ["closes_with_1011", ({ ws }) => ws.close(1011)],
      ["closes_with_1002", ({ ws }) => ws.close(1002)],
      ["closes_with_1000", ({ ws }) => ws.close(1000)],
      ["closes_with_1008", ({ ws }) => ws.close(1008)],
      ["closes_without_a_code", ({ ws }) => ws.close()],
      ["ends_the_connection", ({ ws }) => ws.terminate()],
      ["resets_the_connection", ({ ws }) => void ws._socket.resetAndDestroy()],
      ["crashes_its_channel", ({ crash }) => crash()],
      ["closes_its_channel", ({ end }) => end()],
      ["forgets_its_channel", ({ answer }) => answer("error", { reason: "unmatched topic" })],
      ["answers_ok_without_an_id", ({ answer }) => answer("ok", {})],
      ["answers_ok_with_nothing", ({ answer }) => answer("ok", null)],
    ].map(([how, breaks]) => [
      `a_message_is_refused_after_three_tries_alone_if_the_server_${how}_at_each`,
      async () => {
        const server = await new Scripted({ takes: ({ message }, at) => !message.startsWith("poison") || breaks(at) }).start()
        const chat = chatWith(server)
        const texts = ["a", "b", "poison 1", "c", "poison 2", "d", "e"]
        const outcomes = await Promise.all(texts.map((text) => say(chat, text)))
        assert.deepEqual(outcomes.map((one) => typeof one), ["number", "number", "string", "number", "string", "number", "number"])
        assert.equal(outcomes[2], "could not be sent")
        assert.deepEqual(server.texts, ["a", "b", "c", "d", "e"])
        assert.ok(server.tries("poison 1") <= 3 && server.tries("poison 2") <= 3, `${server.pushed}`)
        assert.ok(server.connects.length <= 6, `${server.connects.length} connects`)
        assert.deepEqual(chat.unanswered, [])
        assert.equal(typeof (await say(chat, "after all")), "number")
      },
    ]),
  ),

  ...Object.fromEntries(
    [1001, 1012, 1013, 1014].map((code) => [
      `a_message_is_refused_after_three_tries_alone_if_the_server_closes_with_${code}_at_each`,
      async () => {
        const server = await new Scripted({ takes: ({ message }, { ws }) => message !== "poison" || ws.close(code) }).start()
        const chat = chatWith(server)
        const outcomes = await Promise.all(["a", "poison", "b", "c"].map((text) => say(chat, text)))
        assert.deepEqual([outcomes[1], server.texts], ["could not be sent", ["a", "b", "c"]])
        // The first try was beside other messages, and then the message was tried three times alone.
        assert.ok(server.tries("poison") <= 4, `${server.pushed}`)
      },
    ]),
  ),

  ...Object.fromEntries(
    ["try again", "too many requests"].map((reason) => [
      `a_message_that_is_always_answered_with_${reason.replaceAll(" ", "_")}_is_refused_after_three_tries_and_delays_no_other`,
      async () => {
        const server = await new Scripted({
          takes: ({ message }, { answer }) => message !== "poison" || (answer("error", { reason }), false),
        }).start()
        const chat = chatWith(server)
        const [first, poison] = ["a", "poison"].map((text) => say(chat, text))
        const behind = await Promise.all(Array.from({ length: 60 }, (_, number) => say(chat, `behind ${number}`)))
        assert.ok(behind.every((id) => typeof id === "number"))
        let isOver = false
        poison.then(() => (isOver = true))
        for (let number = 0; !isOver; number += 1) {
          assert.ok(number < 200, "it is never given up")
          assert.equal(typeof (await say(chat, `later ${number}`)), "number")
          await tick(100)
        }
        assert.deepEqual([await first, await poison, server.tries("poison")], [1, "could not be sent", 3])
      },
    ]),
  ),

  async joins_to_a_server_that_forgets_the_channel_at_each_send_are_limited() {
    const server = await new Scripted({ takes: (_, { answer }) => (answer("error", { reason: "unmatched topic" }), false) }).start()
    const chat = chatWith(server)
    const outcomes = await Promise.all(["a", "b", "c"].map((text) => say(chat, text)))
    assert.deepEqual(outcomes, Array(3).fill("could not be sent"))
    assert.ok(server.joins.length <= 10 && server.pushed.length <= 9, `${server.joins.length} joins`)
  },
}
