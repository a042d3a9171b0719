// Clients of several versions of phoenix.js that connect in several ways, for tests with an outage of servers.
// The argument says how phoenix.js polls: by "xhr", as in a browser, or by "fetch", as outside of one.
// An input line, {name, version, how, url, token, user} in JSON, starts a client; `how` is "websocket", "fallback" or
// "longpoll". The client joins its user's private_chat, with the greatest id that it has seen.
// Each event is printed as a line of JSON, with the client's name: {open: "websocket" or "longpoll"}, {joined: true},
// {message}, {refused}, {lost: true}. An error thrown by a callback is printed as {thrown}, without a name.

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

// Older versions of phoenix.js look for the global object by its name in browsers.
globalThis.self = globalThis
globalThis.reportError = (error) => say({ thrown: String(error) })
if (process.argv[2] === "xhr") globalThis.XMLHttpRequest = XMLHttpRequest
// phoenix.js logs each body that is not JSON to the standard output, on which the test expects only our lines.
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
