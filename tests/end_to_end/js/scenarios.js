// Scenarios of the npm package "phoenix" with gateway nodes. Each function is one test, of the same name.
//
// `node scenarios.js` lists the names. `node scenarios.js NAME JSON` plays one scenario, where JSON is {nodes, tokens}:
// the nodes' socket addresses, and a token for each user id. A printed line, {"kill": 0} or {"stop": 0}, asks the test to
// kill or stop a node; the test answers by an input line. The exit code is 0 if the scenario passed.

import assert from "node:assert/strict"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Presence, Socket } from "phoenix"
import WebSocket from "ws"

const PATIENCE_MS = 20_000
const [ANN, BOB, CAT] = [1, 2, 3]

let nodes, tokens, ask

// Helpers

const client = (node, user, options = {}) => {
  const socket = new Socket(nodes[node], {
    transport: WebSocket,
    params: { token: tokens[user] },
    reconnectAfterMs: () => 20,
    rejoinAfterMs: () => 20,
    ...options,
  })
  socket.connect()
  return socket
}

const within = (promise, what) =>
  Promise.race([
    promise,
    new Promise((_, reject) => {
      setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE_MS).unref()
    }),
  ])

const answer = (push, ...more) =>
  within(
    new Promise((resolve) => {
      for (const status of ["ok", "error", "timeout", ...more]) {
        push.receive(status, (response) => resolve({ status, response }))
      }
    }),
    "an answer",
  )

const joined = async (socket, topic, params = {}) => {
  const channel = socket.channel(topic, params)
  assert.equal((await answer(channel.join())).status, "ok")
  return channel
}

const askFor = (channel, event, payload = {}, timeout = PATIENCE_MS) =>
  answer(channel.push(event, payload, timeout), "pending")

const next = (channel, event) =>
  within(
    new Promise((resolve) => {
      const ref = channel.on(event, (payload) => {
        channel.off(event, ref)
        resolve(payload)
      })
    }),
    event,
  )

const happens = (subscribe, what) => within(new Promise((resolve) => subscribe(resolve)), what)

const until = async (condition, what) => {
  const end = Date.now() + PATIENCE_MS
  while (!condition()) {
    assert.ok(Date.now() < end, `not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const bytes = (...values) => new Uint8Array(values).buffer
const values = (buffer) => [...new Uint8Array(buffer)]

// A transport that connects to the next node each time, like a load balancer.
const balanced = (first) => {
  let turn = first - 1
  return class extends WebSocket {
    constructor(url, protocols) {
      turn += 1
      super(url.replace(nodes[0], nodes[turn % nodes.length]), protocols)
    }
  }
}

// The scenarios

const scenarios = {
  async join_push_and_receive() {
    const ann = await joined(client(0, ANN), "lab:room:basic", { some: "params" })
    const bob = await joined(client(1, BOB), "lab:room:basic")
    assert.deepEqual(await askFor(ann, "echo", { n: 1.5, text: "é✓🚗" }), {
      status: "ok",
      response: { n: 1.5, text: "é✓🚗" },
    })
    assert.deepEqual(await askFor(ann, "echo_error", { why: 1 }), { status: "error", response: { why: 1 } })
    assert.deepEqual(await askFor(ann, "echo_custom", { a: 1 }), { status: "pending", response: { a: 1 } })
    assert.deepEqual(await askFor(ann, "async_reply", { later: 1 }), { status: "ok", response: { later: 1 } })

    let [here, there] = [next(ann, "shout"), next(bob, "shout")]
    const own = next(ann, "pushed")
    assert.equal((await askFor(ann, "broadcast_reply", { to: "all" })).status, "ok")
    ann.push("push", { to: "me" })
    assert.deepEqual(await Promise.all([here, there, own]), [{ to: "all" }, { to: "all" }, { to: "me" }])

    const unexpected = []
    bob.on("shout", (payload) => unexpected.push(payload))
    here = next(ann, "shout")
    bob.push("broadcast_from", { to: "others" })
    assert.deepEqual(await here, { to: "others" })
    await askFor(bob, "echo")
    assert.deepEqual(unexpected, [])

    ;[here, there] = [next(ann, "masked"), next(bob, "masked")]
    ann.push("intercepted", { n: 1 })
    assert.deepEqual(await Promise.all([here, there]), [
      { n: 1, seen_by: `${ANN}` },
      { n: 1, seen_by: `${BOB}` },
    ])
  },

  async the_response_to_a_join_is_received() {
    const channel = client(0, ANN).channel("lab:echo_params", { a: [1, { b: null }] })
    assert.deepEqual(await answer(channel.join()), { status: "ok", response: { a: [1, { b: null }] } })
  },

  async refused_joins_say_why() {
    const socket = client(0, ANN)
    for (const [topic, reason] of [
      ["lab:denied", "denied"],
      ["lab:raise", "join crashed"],
      ["nosuch:topic", "unmatched topic"],
      [`private_chat:${BOB}`, "unauthorized"],
      ["private_chat:999999999", "user not found"],
    ]) {
      const channel = socket.channel(topic, {})
      assert.deepEqual(await answer(channel.join()), { status: "error", response: { reason } })
      channel.leave()
    }
  },

  async a_push_without_an_answer_times_out() {
    const channel = await joined(client(0, ANN), "lab:room:timeout")
    assert.equal((await askFor(channel, "noreply", {}, 100)).status, "timeout")
    assert.equal((await askFor(channel, "echo")).status, "ok")
  },

  async a_slow_join_times_out_and_does_not_delay_other_topics() {
    const socket = client(0, ANN)
    const slow = socket.channel("lab:slow", {})
    const join = answer(slow.join(50))
    const quick = await joined(socket, "lab:room:quick")
    assert.equal((await askFor(quick, "echo")).status, "ok")
    assert.equal((await join).status, "timeout")
  },

  async after_a_leave_the_topic_can_be_joined_again() {
    const socket = client(0, ANN)
    const channel = await joined(socket, "lab:room:leave")
    const bob = await joined(client(1, BOB), "lab:room:leave")
    const closed = happens((done) => channel.onClose(done), "the close")
    channel.on("shout", () => assert.fail("a message after the leave"))
    assert.equal((await answer(channel.leave())).status, "ok")
    await closed
    assert.equal(channel.state, "closed")
    await askFor(bob, "broadcast_reply", {})
    const again = await joined(socket, "lab:room:leave")
    const shout = next(again, "shout")
    await askFor(bob, "broadcast_reply", { n: 2 })
    assert.deepEqual(await shout, { n: 2 })
  },

  async a_second_channel_of_one_topic_takes_over() {
    const socket = client(0, ANN)
    const first = await joined(socket, "lab:room:twice")
    const second = await joined(socket, "lab:room:twice")
    await until(() => first.state === "closed", "the first channel is closed")
    assert.equal((await askFor(second, "echo")).status, "ok")
  },

  async a_channel_that_crashed_is_joined_again() {
    const channel = await joined(client(0, ANN), "lab:room:crash")
    for (const event of ["crash", "no such event"]) {
      const before = channel.joinRef()
      const error = happens((done) => channel.onError(done), "the error")
      channel.push(event, {})
      await error
      await until(() => channel.state === "joined" && channel.joinRef() !== before, "it is joined again")
      assert.deepEqual(await askFor(channel, "echo", { after: event }), {
        status: "ok",
        response: { after: event },
      })
    }
  },

  async a_channel_that_stopped_is_not_joined_again() {
    const socket = client(0, ANN)
    for (const event of ["stop", "stop_shutdown"]) {
      const channel = await joined(socket, `lab:room:${event}`)
      const closed = happens((done) => channel.onClose(done), "the close")
      channel.push(event, {})
      await closed
      assert.equal(channel.state, "closed")
    }
    const channel = await joined(socket, "lab:room:stop_reply")
    assert.deepEqual(await askFor(channel, "stop_reply"), { status: "ok", response: { bye: true } })
    await until(() => channel.state === "closed", "it is closed")
  },

  async binary_payloads_are_sent_and_received() {
    const ann = await joined(client(0, ANN), "lab:room:binary")
    const bob = await joined(client(1, BOB), "lab:room:binary")
    const echo = await askFor(ann, "binary_echo", bytes(0, 1, 254, 255))
    assert.equal(echo.status, "ok")
    assert.deepEqual(values(echo.response), [0, 1, 254, 255])
    const all = [next(ann, "bin"), next(bob, "bin")]
    ann.push("binary_broadcast", bytes(7, 0, 200))
    for (const received of await Promise.all(all)) assert.deepEqual(values(received), [7, 0, 200])
    const pushed = next(bob, "bin")
    bob.push("binary_push", bytes())
    assert.deepEqual(values(await pushed), [])
    const large = new Uint8Array(300_000).map((_, index) => index % 251)
    assert.deepEqual(values((await askFor(bob, "binary_echo", large.buffer)).response), [...large])
  },

  async presence_of_three_clients_on_two_nodes_is_in_sync() {
    const shown = { a: {}, b: {}, c: {} }
    const changes = { joins: [], leaves: [] }
    const enter = async (name, node, user, key) => {
      const channel = client(node, user).channel("lab:presence:sync", { key, meta: { device: name } })
      const presence = new Presence(channel)
      presence.onSync(() => {
        shown[name] = Object.fromEntries(
          presence.list((id, { metas }) => [id, metas.map((meta) => meta.device ?? meta.meta.device).sort()]),
        )
      })
      if (name === "a") {
        presence.onJoin((id, current) => current || changes.joins.push(id))
        presence.onLeave((id, current) => current.metas.length || changes.leaves.push(id))
      }
      assert.equal((await answer(channel.join())).status, "ok")
      return channel
    }
    const everybodySees = (names, expected) =>
      until(
        () => names.every((name) => JSON.stringify(Object.entries(shown[name]).sort()) === JSON.stringify(expected)),
        `all see ${JSON.stringify(expected)}, not ${JSON.stringify(shown)}`,
      )
    await enter("a", 0, ANN, "ann")
    const b = await enter("b", 1, BOB, "bob")
    const c = await enter("c", 1, ANN, "ann")
    await everybodySees(["a", "b", "c"], [["ann", ["a", "c"]], ["bob", ["b"]]])
    assert.equal((await askFor(b, "update_presence", { device: "b2" })).status, "ok")
    await everybodySees(["a", "b", "c"], [["ann", ["a", "c"]], ["bob", ["b2"]]])
    await answer(c.leave())
    await everybodySees(["a", "b"], [["ann", ["a"]], ["bob", ["b2"]]])
    b.socket.disconnect()
    await everybodySees(["a"], [["ann", ["a"]]])
    assert.deepEqual(changes, { joins: ["ann", "bob"], leaves: ["bob"] })
  },

  async an_auth_token_is_sent_as_a_subprotocol() {
    const socket = client(0, ANN, { params: {}, authToken: tokens[ANN] })
    const channel = await joined(socket, `private_chat:${ANN}`)
    assert.equal(socket.conn.protocol, "phoenix")
    assert.ok(!socket.endPointURL().includes(tokens[ANN]))
    assert.equal((await askFor(channel, "send", { to: `${BOB}`, message: "hello" })).status, "ok")
  },

  async a_socket_with_a_bad_token_never_opens() {
    for (const options of [{ params: { token: "no.token" } }, { params: {}, authToken: "no.token" }, { params: {} }]) {
      let opened = false
      const socket = client(0, ANN, options)
      socket.onOpen(() => (opened = true))
      await happens((done) => socket.onError(done), "the error")
      await happens((done) => socket.onError(done), "the error of the next try")
      assert.equal(opened, false)
      socket.disconnect()
    }
  },

  async two_users_on_two_nodes_chat() {
    const ann = await joined(client(0, ANN), `private_chat:${ANN}`)
    const device = await joined(client(1, ANN), `private_chat:${ANN}`)
    const bob = await joined(client(1, BOB), `private_chat:${BOB}`)
    const all = [next(ann, "send"), next(device, "send"), next(bob, "send")]
    const sent = await askFor(ann, "send", { to: `${BOB}`, message: "Hey How are you" })
    for (const { id, from, to, message } of await Promise.all(all)) {
      assert.deepEqual({ id, from, to, message }, { id: sent.response.id, from: "1", to: "2", message: "Hey How are you" })
    }
    assert.deepEqual(await askFor(ann, "send", { to: "0", message: "x" }), {
      status: "error",
      response: { reason: "user not found" },
    })
  },

  async heartbeats_keep_a_socket_open() {
    let answered = 0
    const socket = client(0, ANN, { heartbeatIntervalMs: 250 })
    socket.onClose(() => assert.fail("closed"))
    socket.onMessage(({ topic, event, payload }) => {
      if (topic === "phoenix" && event === "phx_reply" && payload.status === "ok") answered += 1
    })
    await until(() => answered === 3, "three heartbeats are answered")
    await happens((done) => socket.ping(done), "the answer to a ping")
  },

  async a_client_connects_again_after_the_server_disconnects_it() {
    const socket = client(0, CAT)
    const other = client(1, CAT)
    const channel = await joined(socket, "lab:room:disconnect")
    const second = await joined(other, "lab:room:disconnect")
    const closes = [socket, other].map((one) => happens((done) => one.onClose(done), "the close"))
    channel.push("disconnect_me", {})
    for (const event of await Promise.all(closes)) assert.equal(event.code, 1001)
    await until(() => channel.state === "joined" && second.state === "joined", "both are joined again")
    assert.equal((await askFor(channel, "echo")).status, "ok")
  },

  async a_plain_websocket_with_version_1_frames_can_chat() {
    for (const [node, query] of [[0, ""], [1, "&vsn=1.0.0"]]) {
      const socket = new WebSocket(`${nodes[node]}/websocket?token=${tokens[ANN]}${query}`)
      const received = []
      socket.on("message", (data, isBinary) => received.push(isBinary ? data : JSON.parse(data.toString())))
      await within(once(socket, "open"), "the open")
      const say = (frame, options = {}) => socket.send(JSON.stringify(frame), options)
      say({ topic: `private_chat:${ANN}`, event: "phx_join", payload: {}, ref: 111 })
      await until(() => received.length === 1, "the join is answered")
      say({ topic: `private_chat:${ANN}`, event: "send", payload: { to: "2", message: "Hey" }, ref: 111 }, { binary: true })
      say({ topic: "phoenix", event: "heartbeat", payload: {}, ref: 0 })
      await until(() => received.length === 4, "all is answered")
      const [join, message, sent, heartbeat] = received
      const EMPTY = { response: {}, status: "ok" }
      assert.deepEqual(join, { topic: `private_chat:${ANN}`, event: "phx_reply", payload: EMPTY, ref: 111 })
      assert.equal(message.ref, null)
      assert.deepEqual([message.event, message.payload.message, message.payload.to], ["send", "Hey", "2"])
      assert.deepEqual([sent.ref, sent.payload.status], [111, "ok"])
      assert.deepEqual(heartbeat, { topic: "phoenix", event: "phx_reply", payload: EMPTY, ref: 0 })
      socket.close()
      await within(once(socket, "close"), "the close")
    }
  },

  // These two scenarios end a node, so they come last.

  async a_client_of_a_stopped_node_joins_again_at_another_one() {
    const watcher = await joined(client(0, BOB), "lab:room:drain")
    const socket = client(0, ANN, { transport: balanced(1) })
    const channel = await joined(socket, "lab:room:drain")
    const close = happens((done) => socket.onClose(done), "the close")
    await Promise.all([ask({ stop: 1 }), close.then((event) => assert.equal(event.code, 1012))])
    await until(() => channel.state === "joined" && socket.isConnected(), "it is joined again")
    const shout = next(channel, "shout")
    await askFor(watcher, "broadcast_reply", { n: 1 })
    assert.deepEqual(await shout, { n: 1 })
  },

  async a_client_of_a_killed_node_joins_again_at_another_one() {
    const watcher = await joined(client(0, BOB), "lab:room:kill")
    const socket = client(0, ANN, { transport: balanced(1) })
    const channel = await joined(socket, "lab:room:kill")
    const close = happens((done) => socket.onClose(done), "the close")
    await ask({ kill: 1 })
    await close
    // The client keeps a push without a connection, and sends it on the next one.
    const shout = next(watcher, "shout")
    const kept = askFor(channel, "broadcast_reply", { kept: true })
    assert.equal((await kept).status, "ok")
    assert.deepEqual(await shout, { kept: true })
    const back = next(channel, "shout")
    await askFor(watcher, "broadcast_reply", { back: true })
    assert.deepEqual(await back, { back: true })
  },
}

// Plays one scenario.

const [name, given] = process.argv.slice(2)
if (name === undefined) {
  console.log(JSON.stringify(Object.keys(scenarios)))
} else {
  ;({ nodes, tokens } = JSON.parse(given))
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  ask = async (request) => {
    console.log(JSON.stringify(request))
    await within(input.next(), "an answer from outside")
  }
  try {
    await scenarios[name]()
    process.exit(0)
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}
