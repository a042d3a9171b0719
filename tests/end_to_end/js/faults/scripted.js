// Servers that a case scripts: they answer joins, heartbeats and sends, and can do anything else instead.

import { createServer } from "node:http"
import WebSocket, { WebSocketServer } from "ws"

export const listening = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)))

// A server that answers joins, heartbeats and sends, and stores each client_ref once. It stores a send if `takes` returns
// true; otherwise, `takes` has already done something else with it.
export class Scripted {
  connects = []
  joins = []
  pushed = []
  stored = new Map()
  open = new Set()

  constructor({ opened = () => {}, takes = () => true, beats = () => true } = {}) {
    Object.assign(this, { opened, takes, beats })
  }

  async start() {
    this.http = createServer()
    const server = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] })
    this.http.on("upgrade", (message, socket, head) => {
      this.connects.push(Date.now())
      socket.on("error", () => {})
      if (this.refuses?.(socket)) return
      server.handleUpgrade(message, socket, head, (ws) => this.accept(ws))
    })
    this.port = await listening(this.http)
    return this
  }

  accept(ws) {
    this.open.add(ws)
    ws.on("error", () => {})
    ws.on("close", () => this.open.delete(ws))
    ws.on("message", (data) => this.take(ws, JSON.parse(data)))
    this.opened(ws, this.connects.length)
  }

  take(ws, [joinRef, ref, topic, event, payload]) {
    const answer = (status, response) =>
      ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status, response }]))
    const end = () => ws.send(JSON.stringify([joinRef, null, topic, "phx_close", {}]))
    const crash = () => ws.send(JSON.stringify([joinRef, joinRef, topic, "phx_error", {}]))
    if (event === "heartbeat") return this.beats() && answer("ok", {})
    if (event === "phx_leave") return answer("ok", {})
    if (event === "phx_join") {
      this.joins.push(payload)
      const odd = this.joinAnswer?.(this.joins.length)
      if (odd !== undefined) return answer("ok", odd)
      return answer("ok", { messages: [], complete: true })
    }
    this.pushed.push(payload.message)
    if (!this.takes(payload, { ws, answer, crash, end })) return undefined
    const { client_ref: key } = payload
    if (!this.stored.has(key)) this.stored.set(key, { id: this.stored.size + 1, text: payload.message })
    return answer("ok", { id: this.stored.get(key).id, inserted_at: "" })
  }

  get texts() {
    return [...this.stored.values()].map(({ text }) => text)
  }

  tries(text) {
    return this.pushed.filter((one) => one === text).length
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/socket`
  }
}
