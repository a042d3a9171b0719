// Tests clients/javascript/private_chat with one version of the npm package "phoenix" against faults of servers, networks
// and applications. The argument is JSON, {phoenix, paceSeconds, api, gateway, narrow, people, only, recipe}: the name of
// the npm package; the seconds in which connects are counted; the addresses of a real API, of a gateway
// (ws://.../socket) and of a gateway that takes only small frames; and two people as {id, token}. `only` is a pattern
// that chooses cases, and `recipe` the path of another copy of the recipe; both may be left out.
// All cases that last long are played at the same time, because they do little. The others are played a few at a time, so
// that they do not slow each other. The cases' results are printed as one line of JSON, {case: error or ""}; the counts
// go to standard error.

import assert from "node:assert/strict"
import { createServer, request } from "node:http"
import { connect, createServer as createTcpServer } from "node:net"
import WebSocket, { WebSocketServer } from "ws"

// phoenix.js before 1.8.9 needs a browser's XMLHttpRequest for polling. This one works in Node.
class XMLHttpRequest {
  #abort = new AbortController()
  #given = { headers: {}, signal: this.#abort.signal }
  readyState = 0
  responseText = ""
  open(method, url) {
    Object.assign(this, { url, readyState: 1 })
    this.#given.method = method
  }
  setRequestHeader(name, value) {
    this.#given.headers[name] = value
  }
  abort() {
    this.#abort.abort()
  }
  async send(body) {
    try {
      this.responseText = await (await fetch(this.url, { ...this.#given, body })).text()
    } catch {
      if (!this.#abort.signal.aborted) this.onerror?.()
      return
    }
    this.readyState = 4
    this.onreadystatechange?.()
  }
}

const given = JSON.parse(process.argv[2])
if (given.phoenix !== "phoenix") Object.assign(globalThis, { self: globalThis, XMLHttpRequest })
const { LongPoll, Socket } = await import(given.phoenix)
const { PrivateChat, SendRefused, byRest } = await import(given.recipe ?? "../../../clients/javascript/private_chat/index.js")
const version = (given.phoenix.match(/-([0-9.]+)$/)?.[1] ?? "newest").split(".").map(Number)
const isOlderThan = (minor) => version[0] === 1 && version[1] < minor
const USER = "7"
const AT_A_TIME = 24
const PATIENCE_MS = 100_000

const tick = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))
const until = async (happened, what = "the expected event", ms = 45_000) => {
  const end = Date.now() + ms
  while (!happened()) {
    assert.ok(Date.now() < end, `${what} did not happen`)
    await tick(20)
  }
}
// Waits for paceSeconds. Returns the seconds that have really passed, which are more on a busy machine.
const pace = async () => {
  const from = performance.now()
  await tick(given.paceSeconds * 1_000)
  return (performance.now() - from) / 1_000
}
const outcome = (promise) =>
  promise.then(
    ({ id }) => id,
    (error) => (error instanceof SendRefused ? error.reason : error),
  )
const listening = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)))

// A server that answers joins, heartbeats and sends, and stores each client_ref once. It stores a send if `takes` returns
// true; otherwise, `takes` has already done something else with it.
class Scripted {
  connects = []
  joins = []
  pushed = []
  stored = new Map()
  open = new Set()

  constructor({ opened = () => {}, takes = () => true, beats = () => true } = {}) {
    Object.assign(this, { opened, takes, beats })
  }

  async start() {
    this.http = createServer()
    const server = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] })
    this.http.on("upgrade", (message, socket, head) => {
      this.connects.push(Date.now())
      socket.on("error", () => {})
      if (this.refuses?.(socket)) return
      server.handleUpgrade(message, socket, head, (ws) => this.accept(ws))
    })
    this.port = await listening(this.http)
    return this
  }

  accept(ws) {
    this.open.add(ws)
    ws.on("error", () => {})
    ws.on("close", () => this.open.delete(ws))
    ws.on("message", (data) => this.take(ws, JSON.parse(data)))
    this.opened(ws, this.connects.length)
  }

  take(ws, [joinRef, ref, topic, event, payload]) {
    const answer = (status, response) =>
      ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status, response }]))
    const end = () => ws.send(JSON.stringify([joinRef, null, topic, "phx_close", {}]))
    const crash = () => ws.send(JSON.stringify([joinRef, joinRef, topic, "phx_error", {}]))
    if (event === "heartbeat") return this.beats() && answer("ok", {})
    if (event === "phx_leave") return answer("ok", {})
    if (event === "phx_join") {
      this.joins.push(payload)
      const odd = this.joinAnswer?.(this.joins.length)
      if (odd !== undefined) return answer("ok", odd)
      return answer("ok", { messages: [], complete: true })
    }
    this.pushed.push(payload.message)
    if (!this.takes(payload, { ws, answer, crash, end })) return undefined
    const { client_ref: key } = payload
    if (!this.stored.has(key)) this.stored.set(key, { id: this.stored.size + 1, text: payload.message })
    return answer("ok", { id: this.stored.get(key).id, inserted_at: "" })
  }

  get texts() {
    return [...this.stored.values()].map(({ text }) => text)
  }

  tries(text) {
    return this.pushed.filter((one) => one === text).length
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/socket`
  }
}

const sockets = []
const open = (url, options = {}) => {
  const socket = new Socket(url, { transport: WebSocket, params: { token: "x" }, ...options })
  sockets.push(socket)
  return socket
}
const chatWith = (server, options = {}, socketOptions = {}) => {
  const socket = open(server.url, socketOptions)
  const chat = new PrivateChat(socket, USER, { retryMs: 200, ...options })
  socket.connect()
  return chat
}
const say = (chat, message, more = {}) => outcome(chat.send({ to: "8", message, ...more }))

// A middlebox in front of the real gateway. It cuts each WebSocket after `cutsAfter` ms. While `foreign` is set, as
// [status, type, body], it answers each request with that. If `forgets` is set, it takes the token from the next poll, so
// that the poll opens a new session.
const throughMiddlebox = async ({ cutsAfter = null } = {}) => {
  const target = new URL(given.gateway.replace(/^ws/, "http"))
  const state = { foreign: null, forgets: false, upgrades: 0 }
  const server = createServer((message, response) => {
    if (state.foreign) {
      const [status, type, body] = state.foreign
      return response.writeHead(status, { "content-type": type }).end(body)
    }
    let path = message.url
    if (state.forgets && /&token=[^&]{20}/.test(path.replace(/.*longpoll/, "")) && message.method === "GET") {
      path = path.replace(/&token=[^&]*$/, "")
      state.forgets = false
    }
    const options = { host: target.hostname, port: target.port, path, method: message.method, headers: message.headers }
    const onward = request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    onward.on("error", () => response.destroy())
    response.on("close", () => onward.destroy())
    state.abort = () => response.destroy()
    return message.pipe(onward)
  })
  server.on("upgrade", (message, socket) => {
    state.upgrades += 1
    if (state.foreign) return socket.destroy()
    const head = [`GET ${message.url} HTTP/1.1`]
    for (let at = 0; at < message.rawHeaders.length; at += 2) head.push(`${message.rawHeaders[at]}: ${message.rawHeaders[at + 1]}`)
    const onward = connect(target.port, target.hostname, () => onward.write(head.join("\r\n") + "\r\n\r\n"))
    socket.on("error", () => onward.destroy())
    onward.on("error", () => socket.destroy())
    socket.pipe(onward).pipe(socket)
    if (cutsAfter !== null) onward.once("data", () => setTimeout(() => socket.destroy(), cutsAfter))
    return undefined
  })
  state.url = `ws://127.0.0.1:${await listening(server)}/socket`
  return state
}
const tokenOf = ({ token }) => (isOlderThan(8) ? { params: () => ({ token }) } : { params: {}, authToken: () => token })
const [ann, bob] = given.people

const cases = {
  // Messages that the recipe refuses before it sends them

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

  // Messages that are refused because the server cannot take them

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
        // The server takes messages again after a pause, and not throughMiddlebox two of them, so they keep their order.
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

  // Outages, which do not count as tries of a message

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

  // Odd uses of the recipe

  async with_an_invalid_after_id_the_chat_begins_at_0() {
    const values = [Number.NaN, null, undefined, -1, Infinity, -Infinity, 1.5, "x", {}, [], true, 10n ** 30n, "", 0, "0"]
    for (const [afterId, expected] of [...values.map((value) => [value, 0]), ["38", 38], [38, 38], [38n, 38]]) {
      const server = await new Scripted().start()
      const chat = chatWith(server, { afterId })
      assert.equal(await say(chat, "alive"), 1)
      assert.deepEqual([server.joins, chat.afterId], [[{ after_id: expected }], expected], String(afterId))
    }
  },

  async an_application_that_throws_does_not_stop_the_chat() {
    const console_error = console.error
    console.error = () => {}
    const fails = () => {
      throw new Error("the application's")
    }
    const server = await new Scripted().start()
    const chat = chatWith(server, { onCaughtUp: fails, onMessage: fails, onLost: fails, onRefused: fails })
    assert.equal(await say(chat, "a"), 1)
    for (const ws of server.open) ws.send(JSON.stringify([null, null, `private_chat:${USER}`, "send", { id: 5 }]))
    await until(() => chat.afterId === 5)
    for (const ws of server.open) ws.terminate()
    assert.equal(await say(chat, "b"), 2)
    console.error = console_error
  },

  async a_channel_that_the_server_closes_is_joined_again() {
    const server = await new Scripted().start()
    const chat = chatWith(server)
    assert.equal(await say(chat, "a"), 1)
    for (const ws of server.open) ws.send(JSON.stringify([null, null, `private_chat:${USER}`, "phx_close", {}]))
    await until(() => server.joins.length === 2)
    assert.equal(await say(chat, "b"), 2)
  },

  // The connection

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

  async a_socket_that_is_disconnected_or_was_never_connected_is_left_alone() {
    const server = await new Scripted().start()
    const [idle, used] = [open(server.url), open(server.url)]
    const chats = [idle, used].map((socket) => new PrivateChat(socket, USER))
    used.connect()
    await until(() => chats[1].isCaughtUp)
    used.disconnect()
    await tick(14_000)
    assert.equal(server.connects.length, 1)
    idle.connect()
    await until(() => chats[0].isCaughtUp)
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

  // With the real gateway

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

  async nothing_is_sent_after_a_leave() {
    const server = await new Scripted({ takes: () => false }).start()
    const chat = chatWith(server)
    say(chat, "a")
    await until(() => server.pushed.length === 1)
    chat.leave()
    assert.deepEqual(chat.unanswered.map(({ message }) => message), ["a"])
    assert.equal(await say(chat, "b"), "left")
    assert.deepEqual(server.pushed, ["a"])
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

const counts = {}
const faults = []
process.on("unhandledRejection", (error) => faults.push(error))
process.on("uncaughtException", (error) => faults.push(error))
const { log } = console
console.log = () => {}
const only = given.only ? new RegExp(given.only) : /./
const names = Object.keys(cases).filter((name) => only.test(name))
const results = {}
const play = async (name) => {
  try {
    await Promise.race([cases[name](), tick(PATIENCE_MS).then(() => assert.fail("it did not end"))])
    results[name] = ""
  } catch (error) {
    results[name] = error.stack
  }
}
const lastsLong = (name) => name.startsWith("no_more_than_one_") || name.startsWith("a_socket_that_is_disconnected_")
const others = names.filter((name) => !lastsLong(name))
const playOthers = async () => {
  while (others.length > 0) await play(others.shift())
}
await Promise.all([...names.filter(lastsLong).map(play), ...Array.from({ length: AT_A_TIME }, playOthers)])
results.no_error_was_thrown_outside_of_a_case = faults.map((error) => error?.stack ?? String(error)).join("\n")
console.error(JSON.stringify(counts))
process.stdout.write(JSON.stringify(results) + "\n", () => process.exit(0))
