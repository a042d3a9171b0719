// Odd uses of the recipe by an application.

import assert from "node:assert/strict"
import { USER, chatWith, open, say } from "./chats.js"
import { PrivateChat } from "./given.js"
import { Scripted } from "./scripted.js"
import { tick, until } from "./waiting.js"

export const cases = {
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
}
