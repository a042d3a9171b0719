// Clients of the npm package "phoenix" whose WebSockets are refused, so that they fall back to long polling.
// The argument is JSON: {url, authToken, clients: [{name, user, token}, ...]}. Each client joins its user's private_chat.
// An input line, {name, to, message} in JSON, is a message to send. Joins, answered sends and messages are printed, one
// line of JSON for each.

import { createInterface } from "node:readline"
import { Socket } from "phoenix"
import WebSocket from "ws"

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n")
const channels = new Map()
const { url, authToken, clients } = JSON.parse(process.argv[2])

for (const { name, user, token } of clients) {
  const who = authToken ? { authToken: token } : { params: { token } }
  const socket = new Socket(url, { transport: WebSocket, longPollFallbackMs: 2500, ...who })
  socket.onOpen(() => say({ name, open: socket.transport === WebSocket ? "websocket" : "longpoll" }))
  const channel = socket.channel(`private_chat:${user}`, {})
  channel.on("send", ({ from, to, message }) => say({ name, from, to, message }))
  channel
    .join()
    .receive("ok", () => say({ name, joined: true }))
    .receive("error", (response) => say({ name, refused: response }))
  socket.connect()
  channels.set(name, channel)
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { name, to, message } = JSON.parse(line)
    channels
      .get(name)
      .push("send", { to, message })
      .receive("ok", () => say({ name, sent: message }))
      .receive("error", (response) => say({ name, failed: response }))
      .receive("timeout", () => say({ name, failed: "timeout" }))
  })
  .on("close", () => process.exit(0))
