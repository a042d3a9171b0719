// People with phoenix.js of several versions and ways to connect, for tests in which servers go and come back.
// Its argument says how the library polls: "xhr", as in a browser, or "fetch", as where there is none.
// A line on its input is JSON, and somebody who connects from now on: {name, version, how, url, token, user}; `how` is
// "websocket", "fallback" or "longpoll". Each joins private_chat of its user, with the greatest id that it has seen.
// It tells what happens, a line each, with the name: {open: "websocket" or "longpoll"}, {joined: true}, {message},
// {refused}, {lost: true}. What a callback threw is {thrown}, without a name.

import { createInterface } from "node:readline"
import WebSocket from "ws"
import { XMLHttpRequest } from "./xhr.js"

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n")

const PACKAGES = {
  1.6: "phoenix-1.6",
  1.7: "phoenix-1.7",
  "1.8.0": "phoenix-1.8.0",
  "1.8.5": "phoenix-1.8.5",
  "1.8.8": "phoenix-1.8.8",
  1.8: "phoenix",
}

// The older versions look for the global object under the name that browsers give it.
globalThis.self = globalThis
globalThis.reportError = (error) => say({ thrown: String(error) })
if (process.argv[2] === "xhr") globalThis.XMLHttpRequest = XMLHttpRequest
// They tell of each body that is no JSON, on what is the test's line to us.
console.log = () => {}

const connect = async ({ name, version, how, url, token, user }) => {
  const { LongPoll, Socket } = await import(PACKAGES[version])
  const socket = new Socket(url, {
    transport: how === "longpoll" ? LongPoll : WebSocket,
    params: { token },
    ...(how === "fallback" && { longPollFallbackMs: 2500 }),
  })
  let afterId = 0
  socket.onOpen(() => say({ name, open: socket.transport === WebSocket ? "websocket" : "longpoll" }))
  socket.onClose(() => say({ name, lost: true }))
  const channel = socket.channel(`private_chat:${user}`, () => ({ after_id: afterId }))
  const show = ({ id, message }) => {
    if (id <= afterId) return
    afterId = id
    say({ name, message })
  }
  channel.on("send", show)
  channel
    .join()
    .receive("ok", ({ messages }) => {
      messages.forEach(show)
      say({ name, joined: true })
    })
    .receive("error", (refused) => say({ name, refused }))
  socket.connect()
}

createInterface({ input: process.stdin })
  .on("line", (line) => connect(JSON.parse(line)))
  .on("close", () => process.exit(0))
