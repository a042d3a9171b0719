// Clients of clients/javascript/private_chat, on the npm package "phoenix".
// The argument is JSON: [{name, user, token, urls, api, afterId}, ...]. Each connection of a client goes to the next of
// its urls; a client with `api` reads further missed messages by REST.
// An input line, {name, send: {to, message, client_ref}} in JSON, is a message to send. Each event is printed as a line of
// JSON, with the client's name: {caughtUp}, {lost}, {error}, {refused}, {message}, {stored: {id}, ref}, {failed, errors, ref}.

import { createInterface } from "node:readline"
import { Socket } from "phoenix"
import WebSocket from "ws"
import { PrivateChat, byRest } from "../../../clients/javascript/private_chat/index.js"

const chats = new Map()

// A transport that connects to the next url each time, like a load balancer.
const balanced = (urls) => {
  let turn = -1
  return class extends WebSocket {
    constructor(url, protocols) {
      turn += 1
      super(url.replace(urls[0], urls[turn % urls.length]), protocols)
    }
  }
}

for (const { name, user, token, urls, api, afterId } of JSON.parse(process.argv[2])) {
  const say = (what) => process.stdout.write(JSON.stringify({ name, ...what }) + "\n")
  const socket = new Socket(urls[0], {
    transport: balanced(urls),
    authToken: token,
    heartbeatIntervalMs: 500,
    reconnectAfterMs: () => 50,
    rejoinAfterMs: () => 50,
    timeout: 2_000,
  })
  socket.onError(() => say({ error: true }))
  const chat = new PrivateChat(socket, user, {
    afterId,
    retryMs: 100,
    onMessage: (message) => say({ message }),
    onCaughtUp: () => say({ caughtUp: chat.afterId }),
    onLost: () => say({ lost: true }),
    onRefused: (refused) => say({ refused }),
    ...(api && { readOn: byRest(api, () => token) }),
  })
  chats.set(name, { chat, say })
  socket.connect()
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { name, send } = JSON.parse(line)
    const { chat, say } = chats.get(name)
    chat.send(send).then(
      (stored) => say({ stored, ref: send.client_ref }),
      ({ reason, errors }) => say({ failed: reason, errors, ref: send.client_ref }),
    )
  })
  .on("close", () => process.exit(0))
