// Clients of the recipe, on scripted servers and on the real gateway.

import WebSocket from "ws"
import { PrivateChat, SendRefused, Socket, given, isOlderThan } from "./given.js"

export const USER = "7"
export const [ann, bob] = given.people

export const outcome = (promise) =>
  promise.then(
    ({ id }) => id,
    (error) => (error instanceof SendRefused ? error.reason : error),
  )
export const open = (url, options = {}) => new Socket(url, { transport: WebSocket, params: { token: "x" }, ...options })
export const chatWith = (server, options = {}, socketOptions = {}) => {
  const socket = open(server.url, socketOptions)
  const chat = new PrivateChat(socket, USER, { retryMs: 200, ...options })
  socket.connect()
  return chat
}
export const say = (chat, message, more = {}) => outcome(chat.send({ to: "8", message, ...more }))
export const tokenOf = ({ token }) => (isOlderThan(8) ? { params: () => ({ token }) } : { params: {}, authToken: () => token })
