// Tests the page's outbox of messages that are not yet confirmed, with a socket that answers when a test says so.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Outbox } from "../../../api/web/realtime/outbox.js";
import { PrivateChat } from "../../../clients/javascript/private_chat/index.js";
import { Clock, settled } from "../../clients/clock.mjs";
import { Socket } from "../../clients/socket.mjs";

/** Hears what another tab writes. */
let written = [];
globalThis.addEventListener = (name, listener) => name === "storage" && written.push(listener);

/** Stands for the browser's storage. */
globalThis.localStorage = {
  items: new Map(),
  getItem: (name) => localStorage.items.get(name) ?? null,
  setItem: (name, text) => localStorage.items.set(name, text),
  clear: () => localStorage.items.clear(),
};

let clock, socket, outbox, sent;

const states = () => outbox.pending.map((one) => outbox.state(one));

async function joined() {
  socket.joined();
  await settled();
}

beforeEach(() => {
  written = [];
  clock = Clock.install();
  socket = new Socket();
  sent = [];
  outbox = new Outbox({ sent: (one, { id }) => sent.push([one.message, id]), changed: () => {} });
  localStorage.clear();
  outbox.open(new PrivateChat(socket, "3"), "3");
});

test("messages written without a connection wait, and are sent in order after the reconnect", async () => {
  outbox.add("7", "one");
  outbox.add("7", "two", 12);
  assert.deepEqual(states(), ["waiting", "waiting"]);
  await joined();
  assert.deepEqual([socket.last.texts, states()], [["one", "two"], ["sending", "sending"]]);
  assert.deepEqual(Object.keys(socket.last.pushes[0].payload).sort(), ["client_ref", "message", "to"]);
  assert.equal(socket.last.pushes[1].payload.listing_id, "12");
  socket.breaks(1006);
  assert.deepEqual(states(), ["waiting", "waiting"]);
});

test("messages that wait are sent by the next page, also in another tab, as the same messages, for their author only", async () => {
  const first = outbox.add("7", "one", 12);
  outbox.add("7", "two");
  // The page is closed, for example because its person loads a new version.
  const next = (userId) => {
    const opened = new Outbox({ sent: (one, { id }) => sent.push([one.message, id]), changed: () => {} });
    opened.open(new PrivateChat((socket = new Socket()), userId), userId);
    return opened;
  };
  assert.deepEqual(next("4").pending, []);
  outbox = next("3");
  await joined();
  assert.deepEqual([socket.last.texts, states()], [["one", "two"], ["sending", "sending"]]);
  assert.equal(socket.last.pushes[0].payload.client_ref, first.client_ref);
  assert.equal(socket.last.pushes[0].payload.listing_id, "12");
  socket.last.pushes[0].answer("ok", { id: 5, inserted_at: "" });
  await settled();
  assert.deepEqual(next("3").pending.map(({ message }) => message), ["two"]);
});

test("a message that another tab has discarded is not shown as refused any more, and one that waits stays", async () => {
  await joined();
  const refused = outbox.add("7", "one");
  socket.last.pushes[0].answer("error", { reason: "invalid message" });
  await settled();
  const waiting = outbox.add("7", "two");
  assert.deepEqual(outbox.pending, [refused, waiting]);
  localStorage.clear();
  for (const listener of written) listener({ key: "daveslist.outbox" });
  assert.deepEqual(outbox.pending, [waiting]);
});

test("a message that has waited for more than a day is sent only when its writer says so", async () => {
  outbox.add("7", "Is it still there?");
  await clock.pass(25 * 3_600_000);
  outbox = new Outbox({ sent: () => {}, changed: () => {} });
  outbox.open(new PrivateChat((socket = new Socket()), "3"), "3");
  await joined();
  assert.deepEqual([socket.last.texts ?? [], states()], [[], ["refused"]]);
  outbox.again(outbox.pending[0]);
  assert.deepEqual(socket.last.texts, ["Is it still there?"]);
});

test("an answered message leaves the outbox with its id", async () => {
  await joined();
  outbox.add("7", "one");
  socket.last.pushes[0].answer("ok", { id: 5 });
  await settled();
  assert.deepEqual([sent, outbox.pending], [[["one", 5]], []]);
});

test("each message has its own reference, and is shown and sent with it", async () => {
  await joined();
  const refs = [outbox.add("7", "same"), outbox.add("7", "same")].map((one) => one.client_ref);
  assert.notEqual(refs[0], refs[1]);
  assert.deepEqual(socket.last.pushes.map(({ payload }) => payload.client_ref), refs);
});

test("a broadcast before the answer hides the pending message, and the answer removes it", async () => {
  await joined();
  outbox.add("7", "one");
  outbox.seen({ id: 5, to: "7", message: "one" });
  assert.deepEqual([outbox.to("7"), outbox.pending.length], [[], 1]);
  socket.last.pushes[0].answer("ok", { id: 5 });
  await settled();
  assert.deepEqual(outbox.pending, []);
});

test("a broadcast hides one of two equal messages, not both", async () => {
  await joined();
  outbox.add("7", "same");
  outbox.add("7", "same");
  outbox.seen({ id: 5, to: "7", message: "same" });
  assert.equal(outbox.to("7").length, 1);
});

test("half an emoji is replaced before it is sent, and its broadcast is recognized", async () => {
  await joined();
  outbox.add("7", "nice car 🚗".slice(0, -1));
  assert.deepEqual(socket.last.texts, ["nice car \ufffd"]);
  outbox.seen({ id: 5, to: "7", message: "nice car \ufffd" });
  assert.deepEqual(outbox.to("7"), []);
});

test("a refused message shows the reason, and stays until its writer sends it again or discards it", async () => {
  await joined();
  const one = outbox.add("7", "one");
  socket.last.pushes[0].answer("error", { reason: "invalid message", errors: { message: ["Too long."] } });
  await settled();
  assert.deepEqual([outbox.state(one), one.reason], ["refused", "Too long."]);
  socket.breaks(1006);
  await joined();
  await clock.pass(60_000);
  assert.equal(socket.last.texts.length, 1);
  outbox.again(one);
  assert.deepEqual([socket.last.texts.length, outbox.state(one)], [2, "sending"]);
  outbox.discard(one);
  assert.deepEqual(outbox.pending, []);
});

for (const [reason, words] of [
  ["blocked", "This person does not want messages from you."],
  ["user not found", "This person has left Daveslist."],
  ["only about listings", "This person takes messages only about their cars. Write from the page of one."],
  ["could not be sent", "This message could not be sent."],
]) {
  test(`the page has its own words for this reason: ${reason}`, async () => {
    await joined();
    const one = outbox.add("7", "one");
    socket.last.pushes[0].answer("error", { reason });
    await settled();
    assert.deepEqual([outbox.state(one), one.reason], ["refused", words]);
    assert.deepEqual([outbox.isHopeless("7"), outbox.isHopeless("8")], [reason !== "could not be sent", false]);
    assert.equal(outbox.isHopeless("7", true), ["blocked", "user not found"].includes(reason));
  });
}

test("a message that is too long is refused without being sent, and the next one is sent", async () => {
  await joined();
  const long = outbox.add("7", "x".repeat(1_100_000));
  outbox.add("7", "behind");
  await settled();
  assert.deepEqual([outbox.state(long), long.reason], ["refused", "Longer than 4000 characters."]);
  assert.deepEqual(socket.last.texts, ["behind"]);
});

test("a message that had arrived is not shown as refused when sending it again is refused", async () => {
  await joined();
  const one = outbox.add("7", "one");
  outbox.seen({ id: 5, to: "7", message: "one" });
  socket.last.pushes[0].answer("error", { reason: "blocked" });
  await settled();
  assert.ok(!outbox.pending.includes(one));
});

test("closing the outbox erases the messages of its user", async () => {
  outbox.add("7", "one");
  outbox.close();
  outbox.open(new PrivateChat(new Socket(), "4"));
  assert.deepEqual(outbox.pending, []);
});
