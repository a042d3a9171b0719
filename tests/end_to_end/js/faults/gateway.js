// The recipe with the real gateway, also through a middlebox.

import assert from "node:assert/strict"
import { ann, bob, open, outcome, tokenOf } from "./chats.js"
import { LongPoll, PrivateChat, byRest, given, isOlderThan } from "./given.js"
import { throughMiddlebox } from "./middlebox.js"
import { counts, tick, until } from "./waiting.js"

export const cases = {
  async the_chat_works_with_a_token_from_a_function() {
    const socket = open(given.gateway, tokenOf(ann))
    const got = []
    const chat = new PrivateChat(socket, ann.id, { onMessage: ({ message }) => got.push(message) })
    socket.connect()
    const half = await chat.send({ to: bob.id, message: `half ${"🚗".slice(0, 1)}` })
    const whole = await chat.send({ to: bob.id, message: "🚗".repeat(4_000) })
    assert.ok(whole.id > half.id)
    await until(() => got.includes("half \ufffd") && got.includes("🚗".repeat(4_000)))
  },

  async two_sends_with_one_client_ref_are_one_message() {
    const socket = open(given.gateway, tokenOf(ann))
    const chat = new PrivateChat(socket, ann.id)
    const one = { to: bob.id, message: "once", client_ref: `once ${given.phoenix}` }
    const promises = [chat.send(one), chat.send(one)]
    socket.connect()
    const [first, second] = await Promise.all(promises)
    assert.equal(first.id, second.id)
    assert.equal((await chat.send(one)).id, first.id)
  },

  async two_chats_on_one_socket_share_it() {
    const socket = open(given.gateway, tokenOf(ann))
    const shown = [[], [], []]
    const make = (index, afterId) => new PrivateChat(socket, ann.id, { afterId, onMessage: ({ id }) => shown[index].push(id) })
    const chats = [make(0), make(1)]
    socket.connect()
    const sent = await Promise.all(chats.map((chat) => chat.send({ to: bob.id, message: "shared" })))
    await until(() => [0, 1].every((index) => sent.every(({ id }) => shown[index].includes(id))), "the display of both messages in both chats")
    const last = Math.max(...sent.map(({ id }) => id))
    chats.push(make(2, last - 1))
    const { id } = await chats[2].send({ to: bob.id, message: "late" })
    await until(() => shown.every((ids) => ids.includes(id)) && shown[2].includes(last), "the display in all chats")
    for (const ids of shown) assert.equal(new Set(ids).size, ids.length)
    chats[0].leave()
    chats[2].leave()
    assert.ok((await chats[1].send({ to: bob.id, message: "the last one here" })).id > id)
    chats[1].leave()
    const again = new PrivateChat(socket, ann.id, { afterId: id })
    assert.ok((await again.send({ to: bob.id, message: "again" })).id > id)
  },

  ...Object.fromEntries(
    ["WebSocket", "LongPoll"].map((transport) => [
      `a_message_too_large_for_the_gateway_is_refused_after_three_tries_by_${transport}`,
      async () => {
        const socket = open(given.narrow, { ...tokenOf(ann), ...(transport === "LongPoll" && { transport: LongPoll }) })
        const chat = new PrivateChat(socket, ann.id, { retryMs: 200 })
        socket.connect()
        const sends = ["a", "x".repeat(3_900), "b", "c"].map((message) => outcome(chat.send({ to: bob.id, message })))
        const [first, large, ...behind] = await Promise.all(sends)
        assert.equal(large, "could not be sent")
        assert.ok(first < behind[0] && behind[0] < behind[1], `${[first, behind]}`)
      },
    ]),
  ),

  async the_client_joins_again_after_its_longpoll_session_was_replaced() {
    const middlebox = await throughMiddlebox()
    const socket = open(middlebox.url, { ...tokenOf(bob), transport: LongPoll })
    const texts = []
    const chat = new PrivateChat(socket, bob.id, { onMessage: ({ message }) => texts.push(message) })
    socket.connect()
    await until(() => chat.isCaughtUp, "the first join")
    middlebox.forgets = true
    // This message ends the waiting poll.
    await chat.send({ to: ann.id, message: "before it was forgotten" })
    await until(() => !middlebox.forgets, "the loss of the session")
    const headers = { authorization: `Bearer ${ann.token}`, "content-type": "application/json" }
    const body = JSON.stringify({ to: bob.id, message: "after it was forgotten" })
    assert.equal((await fetch(`${given.api}/api/messages`, { method: "POST", headers, body })).status, 201)
    await until(() => texts.includes("after it was forgotten"), "the arrival of the message")
  },

  async many_sends_at_once_arrive_in_order_by_long_polling() {
    const socket = open(given.gateway, { ...tokenOf(ann), transport: LongPoll })
    const chat = new PrivateChat(socket, ann.id)
    socket.connect()
    await until(() => chat.isCaughtUp, "the join")
    const numbers = Array.from({ length: 250 }, (_, number) => number)
    const ids = await Promise.all(numbers.map((number) => chat.send({ to: ann.id, message: `number ${number}` }).then(({ id }) => id)))
    assert.deepEqual(ids, [...ids].sort((one, other) => one - other))
  },

  async the_client_falls_back_to_long_polling_if_websockets_are_cut_again_and_again() {
    if (isOlderThan(7)) return
    const middlebox = await throughMiddlebox({ cutsAfter: 300 })
    const socket = open(middlebox.url, { ...tokenOf(bob), longPollFallbackMs: 2_500 })
    const chat = new PrivateChat(socket, bob.id, { readOn: byRest(given.api, () => bob.token) })
    socket.connect()
    await until(() => socket.transport === LongPoll && chat.isCaughtUp, "the fallback")
    assert.ok(middlebox.upgrades <= 4, `${middlebox.upgrades} WebSockets`)
    assert.ok((await chat.send({ to: ann.id, message: "by long polling" })).id > 0)
  },

  ...Object.fromEntries(
    [
      ["a_proxys_502", [502, "text/html", "<html><body>502 Bad Gateway</body></html>"]],
      ["json_with_a_foreign_status", [503, "application/json", '{"status":503,"message":"unavailable"}']],
      ["json_without_a_status", [504, "application/json", '{"message":"Endpoint request timed out"}']],
      ["a_json_text", [503, "application/json", '"unavailable"']],
      ["a_foreign_200", [200, "application/json", '{"status":200}']],
      ["a_foreign_204", [200, "application/json", '{"status":204}']],
      ["a_foreign_410", [200, "application/json", '{"status":410}']],
    ].map(([what, foreign]) => [
      `long_polling_survives_an_outage_with_${what}`,
      async () => {
        const middlebox = await throughMiddlebox()
        const socket = open(middlebox.url, { ...tokenOf(bob), transport: LongPoll })
        const texts = []
        const chat = new PrivateChat(socket, bob.id, {
          readOn: byRest(given.api, () => bob.token),
          onMessage: ({ message }) => texts.push(message),
        })
        socket.connect()
        await until(() => chat.isCaughtUp, "the first join")
        middlebox.foreign = foreign
        middlebox.abort()
        await tick(4_000)
        const kept = chat.send({ to: ann.id, message: `written meanwhile, ${what}` })
        await tick(1_000)
        const headers = { authorization: `Bearer ${ann.token}`, "content-type": "application/json" }
        const body = JSON.stringify({ to: bob.id, message: `missed, ${what}` })
        assert.equal((await fetch(`${given.api}/api/messages`, { method: "POST", headers, body })).status, 201)
        middlebox.foreign = null
        const from = Date.now()
        await until(() => texts.includes(`missed, ${what}`), "the arrival of the missed message")
        assert.ok((await kept).id > 0)
        counts[`back after ${what}, s`] = (Date.now() - from) / 1_000
      },
    ]),
  ),
}
