// How a client of private chat loses nothing, with the npm package `phoenix` (1.6 to 1.8). It needs neither a page nor
// Node. Copy the whole folder, and import this file: it exports what an application needs of the others.
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
// 1. It joins with `after_id`, the greatest id up to which it has seen everything. phoenix.js asks for the parameters
//    at each join, so that every reconnect catches up from where this client stands. No connection: no loss.
// 2. An answer that is not `complete` is only a part. It reads on by REST, or joins again from the last id it got.
//    Messages that arrive live meanwhile are shown, but they lie behind the gap: `after_id` does not pass it before it
//    is closed.
// 3. A message may come more than once (catching up overlaps): by its id it is shown once. The ids are the order.
// 4. A send has a `client_ref`. When no answer came (the connection broke, the server was slow) it is sent again under
//    the same one after the next join: the server stores it once.
// 5. One message never stops the others. What the server cannot take is refused here; what it breaks the connection
//    over, or tells to try again while it takes others, is found out, refused after three tries, and what is behind it
//    goes out. An outage is no try, unless there are three in a row while the same message is alone under way.
// 6. The connection is kept, gently: never more than one connect a second for long, whatever the server does.
//
// Rules 1 to 3 are topic.js and answers.js; rule 4 is outgoing.js; rule 5 is sendable.js and outgoing.js; rule 6 is line.js.

export { byRest } from "./by_rest.js"
export { Line } from "./line.js"
export { PrivateChat } from "./private_chat.js"
export { newRef, sendable } from "./sendable.js"
export { SendRefused } from "./send_refused.js"
