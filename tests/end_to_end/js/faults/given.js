// What tests/end_to_end/js/private_chat_faults.js is given: the version of phoenix.js, the recipe, and the addresses.

import { XMLHttpRequest } from "../xhr.js"

export const given = JSON.parse(process.argv[2])
// phoenix.js before 1.8.9 needs a browser's XMLHttpRequest for polling.
if (given.phoenix !== "phoenix") Object.assign(globalThis, { self: globalThis, XMLHttpRequest })
export const { LongPoll, Socket } = await import(given.phoenix)
export const { PrivateChat, SendRefused, byRest } = await import(given.recipe ?? "../../../../clients/javascript/private_chat/index.js")
const version = (given.phoenix.match(/-([0-9.]+)$/)?.[1] ?? "newest").split(".").map(Number)
export const isOlderThan = (minor) => version[0] === 1 && version[1] < minor
