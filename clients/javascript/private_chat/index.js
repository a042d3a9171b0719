// A client of private chat that loses no message. It uses the npm package `phoenix` (1.6 to 1.8) and runs in a browser
// or in Node. Copy the whole folder and import this file, which exports everything that an application needs.
//
//   import { Socket } from "phoenix"
//   import { PrivateChat, byRest } from "private_chat/index.js"
//
//   const socket = new Socket("wss://HOSTNAME/socket", { authToken: () => token, longPollFallbackMs: 2500 })
//   const chat = new PrivateChat(socket, userId, {
//     afterId: 0,                                        // the greatest message id that this device has
//     onMessage: (message) => show(message),             // each message once, incoming and outgoing
//     readOn: byRest("https://HOSTNAME", () => token),   // optional
//   })
//   socket.connect()
//   const { id } = await chat.send({ to: "12", message: "Hey How are you" })
//
// 1. The client joins with `after_id`, the greatest id up to which it has seen everything. phoenix.js asks for the
//    parameters at each join, so every reconnect catches up from there.
// 2. A reply to a join may have only a part of the messages (`complete` is false). The client then reads the rest by
//    REST, or joins again from the last id that it got. Messages that arrive live in the meantime are shown, but they
//    do not move `after_id` until the gap is closed.
// 3. Catching up can repeat messages. The client drops the ids that it has already shown. The order of ids is the order
//    of messages.
// 4. Each send has a `client_ref`. If no reply came (the connection broke, or the server was slow), the client sends
//    the message again with the same `client_ref` after the next join, and the server stores it once.
// 5. One message never blocks the others. The client refuses at once what no server accepts. If the connection breaks
//    because of one message, or if the server answers "try again" to that message alone, the client gives the message
//    up after three tries. An outage does not count as a try, unless three outages in a row happen while this message
//    alone is under way.
// 6. The client connects at most about once a second, whatever the server does.
//
// topic.js and answers.js implement rules 1 to 3, outgoing.js rules 4 and 5 (with sendable.js), and line.js rule 6.

export { byRest } from "./by_rest.js"
export { Line } from "./line.js"
export { PrivateChat } from "./private_chat.js"
export { newRef, sendable } from "./sendable.js"
export { SendRefused } from "./send_refused.js"
