// Waits for events and for time, and keeps the counts that go to standard error at the end.

import assert from "node:assert/strict"
import { given } from "./given.js"

export const counts = {}

export const tick = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))
export const until = async (happened, what = "the expected event", ms = 45_000) => {
  const end = Date.now() + ms
  while (!happened()) {
    assert.ok(Date.now() < end, `${what} did not happen`)
    await tick(20)
  }
}
// Waits for paceSeconds. Returns the seconds that have really passed, which are more on a busy machine.
export const pace = async () => {
  const from = performance.now()
  await tick(given.paceSeconds * 1_000)
  return (performance.now() - from) / 1_000
}
