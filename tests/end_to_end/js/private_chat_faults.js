// Tests clients/javascript/private_chat with one version of the npm package "phoenix" against faults of servers, networks
// and applications. The argument is JSON, {phoenix, paceSeconds, api, gateway, narrow, people, only, recipe}: the name of
// the npm package; the seconds in which connects are counted; the addresses of a real API, of a gateway
// (ws://.../socket) and of a gateway that takes only small frames; and two people as {id, token}. `only` is a pattern
// that chooses cases, and `recipe` the path of another copy of the recipe; both may be left out.
// All cases that last long are played at the same time, because they do little. The others are played a few at a time, so
// that they do not slow each other. The cases' results are printed as one line of JSON, {case: error or ""}; the counts
// go to standard error.

import assert from "node:assert/strict"
import { cases as answers } from "./faults/answers.js"
import { cases as connects } from "./faults/connects.js"
import { cases as gateway } from "./faults/gateway.js"
import { given } from "./faults/given.js"
import { cases as messages } from "./faults/messages.js"
import { cases as outages } from "./faults/outages.js"
import { cases as uses } from "./faults/uses.js"
import { counts, tick } from "./faults/waiting.js"

const cases = { ...messages, ...answers, ...outages, ...uses, ...connects, ...gateway }
const AT_A_TIME = 24
const PATIENCE_MS = 100_000

const faults = []
process.on("unhandledRejection", (error) => faults.push(error))
process.on("uncaughtException", (error) => faults.push(error))
globalThis.reportError = (error) => faults.push(error)
console.log = () => {}
const only = given.only ? new RegExp(given.only) : /./
const names = Object.keys(cases).filter((name) => only.test(name))
const results = {}
const play = async (name) => {
  try {
    await Promise.race([cases[name](), tick(PATIENCE_MS).then(() => assert.fail("it did not end"))])
    results[name] = ""
  } catch (error) {
    results[name] = error.stack
  }
}
const lastsLong = (name) => name.startsWith("no_more_than_one_") || name.startsWith("a_socket_that_is_disconnected_")
const others = names.filter((name) => !lastsLong(name))
const playOthers = async () => {
  while (others.length > 0) await play(others.shift())
}
await Promise.all([...names.filter(lastsLong).map(play), ...Array.from({ length: AT_A_TIME }, playOthers)])
results.no_error_was_thrown_outside_of_a_case = faults.map((error) => error?.stack ?? String(error)).join("\n")
console.error(JSON.stringify(counts))
process.stdout.write(JSON.stringify(results) + "\n", () => process.exit(0))
