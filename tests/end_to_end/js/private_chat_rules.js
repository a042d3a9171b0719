// The rules of gateway/client/private_chat.js against a server that is played here, so that each moment can be chosen.

import assert from "node:assert/strict"
import { PrivateChat } from "../../../gateway/client/private_chat.js"

class Push {
  hooks = {}
  receive(status, hook) {
    this.hooks[status] = hook
    return this
  }
}

class Channel {
  events = {}
  pushes = []
  joining = new Push()
  hasLeft = false
  constructor(params) {
    this.params = params
  }
  on(event, hook) {
    this.events[event] = hook
  }
  onError(hook) {
    this.events.error = hook
  }
  onClose(hook) {
    this.events.close = hook
  }
  join() {
    return this.joining
  }
  leave() {
    this.hasLeft = true
  }
  push(event, payload) {
    const push = Object.assign(new Push(), { event, payload })
    this.pushes.push(push)
    return push
  }
}

const played = (options = {}) => {
  const channels = []
  const shown = []
  const unused = () => {}
  const socket = {
    ...{ onOpen: unused, onClose: unused, onMessage: unused, connectionState: unused },
    channel: (topic, params) => {
      assert.equal(topic, "private_chat:7")
      channels.push(new Channel(params))
      return channels.at(-1)
    },
  }
  const chat = new PrivateChat(socket, 7, { retryMs: 1, onMessage: ({ id }) => shown.push(id), ...options })
  return { chat, channels, shown, joined: (ids, complete) => channels.at(-1).joining.hooks.ok({ messages: list(ids), complete }) }
}
const list = (ids) => ids.map((id) => ({ id }))
const tick = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))

// What is live behind a gap is shown, but does not count as seen before the gap is closed.
{
  let release
  async function* readOn(afterId) {
    assert.equal(afterId, 3)
    yield list([4, 5])
    await new Promise((resolve) => (release = resolve))
    yield list([6])
  }
  const { chat, channels, shown, joined } = played({ readOn })
  assert.deepEqual(channels[0].params(), { after_id: 0 })
  joined([2, 3], false)
  channels[0].events.send({ id: 9 })
  await tick()
  assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [5, false, [2, 3, 9, 4, 5]])
  // The connection is lost in the middle: the next join begins at the gap, not behind it.
  channels[0].events.error()
  release()
  await tick()
  assert.deepEqual(channels[0].params(), { after_id: 5 })
  assert.equal(chat.isCaughtUp, false)
  joined([6, 9], true)
  await tick()
  assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [9, true, [2, 3, 9, 4, 5, 6]])
}

// Without REST it joins again from the last id, and counts what came live when it is complete.
{
  const { chat, channels, shown, joined } = played({ afterId: 1 })
  joined([2, 3], false)
  await tick()
  assert.deepEqual([channels.length, channels[0].hasLeft], [2, true])
  channels[0].events.send({ id: 4 })
  assert.deepEqual(channels[1].params(), { after_id: 3 })
  joined([4], true)
  channels[1].events.send({ id: 8 })
  channels[1].events.send({ id: 7 })
  await tick()
  assert.deepEqual([chat.afterId, shown], [8, [2, 3, 4, 8, 7]])
}

// A reading that fails is begun again.
{
  const { chat, channels, joined } = played({
    readOn: async function* () {
      throw new Error("away")
    },
  })
  joined([1], false)
  while (channels.length === 1) await tick(1)
  assert.deepEqual(channels[1].params(), { after_id: 1 })
  joined([2], true)
  await tick()
  assert.equal(chat.isCaughtUp, true)
}

// A send is repeated under one client_ref until it is answered, in order, and only while nothing is missing.
{
  const { chat, channels, joined } = played()
  const outcomes = []
  for (const [message, ref] of [["a", "A"], ["b", undefined], ["c", "C"]]) {
    chat.send({ to: "8", message, client_ref: ref }).then(
      ({ id }) => outcomes.push([message, id]),
      ({ reason, errors }) => outcomes.push([message, reason, errors]),
    )
  }
  const [channel] = channels
  assert.deepEqual(channel.pushes, [])
  joined([], true)
  await tick()
  const texts = () => channel.pushes.map(({ payload }) => payload.message)
  assert.deepEqual(texts(), ["a", "b", "c"])
  channel.pushes[0].hooks.ok({ id: 1 })
  channel.pushes[2].hooks.error({ reason: "invalid message", errors: { message: ["No."] } })
  channel.pushes[1].hooks.error({ reason: "try again" })
  while (channel.pushes.length === 3) await tick(1)
  channel.events.error()
  await tick(5)
  assert.equal(channel.pushes.length, 4)
  joined([], true)
  await tick()
  assert.deepEqual(texts(), ["a", "b", "c", "b", "b"])
  const refs = [1, 3, 4].map((index) => channel.pushes[index].payload.client_ref)
  assert.ok(typeof refs[0] === "string" && refs[0].length > 10 && new Set(refs).size === 1)
  channel.pushes[4].hooks.ok({ id: 2 })
  channel.pushes[4].hooks.ok({ id: 2 })
  await tick()
  assert.deepEqual(outcomes, [["a", 1], ["c", "invalid message", { message: ["No."] }], ["b", 2]])
  assert.deepEqual(chat.unanswered, [])
  chat.leave()
  assert.ok(channel.hasLeft)
}
