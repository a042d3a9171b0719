// A middlebox between clients and the real gateway, which a case can let misbehave.

import { createServer, request } from "node:http"
import { connect } from "node:net"
import { given } from "./given.js"
import { listening } from "./scripted.js"

// The middlebox cuts each WebSocket after `cutsAfter` ms. While `foreign` is set, as [status, type, body], it answers each
// request with that. If `forgets` is set, it takes the token from the next poll, so that the poll opens a new session.
export const throughMiddlebox = async ({ cutsAfter = null } = {}) => {
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
