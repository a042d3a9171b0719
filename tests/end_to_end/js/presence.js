// Clients of the npm package "phoenix", which print their presence list after each change, as a line of JSON.
// The argument is JSON: [{name, url, token, topic, params}, ...]. After the input line "leave NAME", that client leaves.

import { createInterface } from "node:readline"
import { Presence, Socket } from "phoenix"
import WebSocket from "ws"

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n")
const channels = new Map()

for (const { name, url, token, topic, params } of JSON.parse(process.argv[2])) {
  const socket = new Socket(url, { transport: WebSocket, params: { token } })
  socket.connect()
  const channel = socket.channel(topic, params)
  const presence = new Presence(channel)
  presence.onSync(() => say([name, presence.list((key, { metas }) => [key, metas])]))
  channel.join().receive("error", (response) => say([name, response]))
  channels.set(name, channel)
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [command, name] = line.split(" ")
    if (command === "leave") channels.get(name).leave()
  })
  .on("close", () => process.exit(0))
