// XMLHttpRequest on Node's http, as far as phoenix.js uses it: its older versions cannot poll without it. Events come in
// the same order as in a browser, and an error that a callback throws ends nothing, as in a browser.

import http from "node:http"

const [UNSENT, OPENED, DONE] = [0, 1, 4]

export class XMLHttpRequest {
  readyState = UNSENT
  responseText = ""
  status = 0
  timeout = 0
  #method
  #url
  #headers = {}
  #request = null
  #timer = null

  open(method, url) {
    this.#method = method
    this.#url = url
    this.readyState = OPENED
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value
  }

  send(body) {
    // Each request has its own connection, so it cannot fail because a server has closed a kept one.
    const request = http.request(this.#url, { method: this.#method, headers: this.#headers, agent: false })
    this.#request = request
    if (this.timeout) this.#timer = setTimeout(() => this.#fail(request, "ontimeout"), this.timeout)
    request.on("error", () => this.#fail(request, "onerror"))
    request.on("response", (response) => {
      const chunks = []
      response.on("data", (chunk) => chunks.push(chunk))
      response.on("error", () => this.#fail(request, "onerror"))
      response.on("end", () => {
        if (this.#request !== request) return
        this.status = response.statusCode
        this.responseText = Buffer.concat(chunks).toString()
        this.#done("onload")
      })
    })
    request.end(body ?? undefined)
  }

  abort() {
    if (this.#request === null) return
    this.#fail(this.#request, "onabort")
    this.readyState = UNSENT
  }

  #fail(request, event) {
    if (this.#request !== request) return
    this.#done(event)
    request.destroy()
  }

  #done(event) {
    this.#request = null
    clearTimeout(this.#timer)
    this.readyState = DONE
    for (const name of ["onreadystatechange", event]) {
      try {
        this[name]?.()
      } catch (error) {
        globalThis.reportError(error)
      }
    }
  }
}
