// The page's outbox, with the sender of the private chat client, on a channel that answers when it is told to.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Outbox } from "../../../api/web/realtime/outbox.js";
import { Outgoing, sendable } from "../../../gateway/client/private_chat.js";

class Channel {
  pushes = [];

  push(event, payload) {
    const hooks = {};
    const push = { event, payload, answer: (status, response = {}) => hooks[status]?.(response) };
    this.pushes.push(push);
    const receiver = { receive: (status, hook) => ((hooks[status] = hook), receiver) };
    return receiver;
  }

  get texts() {
    return this.pushes.map((one) => one.payload.message);
  }
}

let channel, outgoing, outbox, sent, timers;

// The outbox has one timer at most.
globalThis.setTimeout = (work, wait) => timers.push({ work, wait });
globalThis.clearTimeout = (number) => number && delete timers[number - 1];

function tick(wait) {
  const due = timers.filter((one) => one.wait <= wait);
  timers = [];
  for (const { work } of due) work();
}

/** What promises bring about. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  timers = [];
  channel = new Channel();
  sent = [];
  outgoing = new Outgoing();
  outbox = new Outbox({
    outgoing,
    prepare: sendable,
    sent: (one, { id }) => sent.push([one.message, id]),
    changed: () => {},
  });
});

test("what is written without a connection goes out in order when there is one", () => {
  outbox.add("7", "one");
  outbox.add("7", "two", 12);
  assert.deepEqual(outbox.to("7").map((one) => outbox.state(one)), ["waiting", "waiting"]);
  outgoing.joined(channel);
  assert.deepEqual(channel.texts, ["one", "two"]);
  assert.deepEqual(Object.keys(channel.pushes[0].payload).sort(), ["client_ref", "message", "to"]);
  assert.equal(channel.pushes[1].payload.listing_id, "12");
});

test("an answered message leaves the outbox with its id", async () => {
  outgoing.joined(channel);
  outbox.add("7", "one");
  channel.pushes[0].answer("ok", { id: 5 });
  await settled();
  assert.deepEqual(sent, [["one", 5]]);
  assert.deepEqual(outbox.pending, []);
});

test("what was under way when the connection was lost is sent again under the same reference", () => {
  outgoing.joined(channel);
  outbox.add("7", "one");
  outgoing.lost();
  assert.equal(outbox.state(outbox.pending[0]), "waiting");
  outgoing.joined(channel);
  const [first, second] = channel.pushes.map((one) => one.payload.client_ref);
  assert.equal(first, second);
  assert.match(first, /^[0-9a-f]{32}$/);
});

test("two messages never share a reference", () => {
  outgoing.joined(channel);
  outbox.add("7", "same");
  outbox.add("7", "same");
  assert.notEqual(channel.pushes[0].payload.client_ref, channel.pushes[1].payload.client_ref);
});

test("a broadcast that comes before the answer hides the pending message, and the answer still settles it", async () => {
  outgoing.joined(channel);
  outbox.add("7", "one");
  outbox.seen({ id: 5, to: "7", message: "one" });
  assert.deepEqual(outbox.to("7"), []);
  assert.equal(outbox.pending.length, 1);
  channel.pushes[0].answer("ok", { id: 5 });
  await settled();
  assert.deepEqual(outbox.pending, []);
});

test("a broadcast settles one of two equal messages, not both", () => {
  outgoing.joined(channel);
  outbox.add("7", "same");
  outbox.add("7", "same");
  outbox.seen({ id: 5, to: "7", message: "same" });
  assert.equal(outbox.to("7").length, 1);
});

test("half an emoji is mended before it is sent, and its broadcast is recognized", () => {
  outgoing.joined(channel);
  outbox.add("7", "nice car 🚗".slice(0, -1));
  assert.deepEqual(channel.texts, ["nice car \ufffd"]);
  outbox.seen({ id: 5, to: "7", message: "nice car \ufffd" });
  assert.deepEqual(outbox.to("7"), []);
});

for (const reason of ["too many requests", "try again"]) {
  test(`what was refused for now (${reason}) is sent again after a while`, () => {
    outgoing.joined(channel);
    outbox.add("7", "one");
    channel.pushes[0].answer("error", { reason });
    assert.equal(outbox.state(outbox.pending[0]), "waiting");
    assert.equal(channel.pushes.length, 1);
    tick(1_000);
    assert.deepEqual(channel.texts, ["one", "one"]);
  });
}

test("what was refused for good says why, and is sent again or discarded by its writer only", async () => {
  outgoing.joined(channel);
  const one = outbox.add("7", "one");
  channel.pushes[0].answer("error", { reason: "invalid message", errors: { message: ["Too long."] } });
  await settled();
  assert.deepEqual([outbox.state(one), one.reason], ["refused", "Too long."]);
  outgoing.joined(channel);
  tick(60_000);
  assert.equal(channel.pushes.length, 1);
  outbox.again(one);
  assert.equal(channel.pushes.length, 2);
  outbox.discard(one);
  assert.deepEqual(outbox.pending, []);
});

test("what is too long is refused without being sent, and what is behind it goes out", async () => {
  outgoing.joined(channel);
  const long = outbox.add("7", "x".repeat(1_100_000));
  outbox.add("7", "behind");
  await settled();
  assert.deepEqual([outbox.state(long), long.reason], ["refused", "Longer than 4000 characters."]);
  assert.deepEqual(channel.texts, ["behind"]);
});

test("a message over which the connection breaks three times is given up, and what is behind it goes out", async () => {
  const poison = outbox.add("7", "poison");
  outbox.add("7", "behind");
  for (let times = 0; times < 3; times += 1) {
    outgoing.joined(channel);
    tick(1_000);
    outgoing.lost();
    outgoing.broke({ mayBeOurs: true });
  }
  await settled();
  assert.deepEqual([outbox.state(poison), poison.reason], ["refused", "This message could not be sent."]);
  // Both at first, then the first alone.
  assert.deepEqual(channel.texts, ["poison", "behind", "poison", "poison"]);
  outgoing.joined(channel);
  tick(1_000);
  channel.pushes.at(-1).answer("ok", { id: 6 });
  await settled();
  assert.deepEqual(sent, [["behind", 6]]);
});

test("an answer that does not come is asked for again, unless the connection is another by then", async () => {
  outgoing.joined(channel);
  outbox.add("7", "one");
  channel.pushes[0].answer("timeout");
  await settled();
  tick(1_000);
  assert.equal(channel.pushes.length, 2);
  outgoing.lost();
  channel.pushes[1].answer("timeout");
  await settled();
  tick(60_000);
  assert.equal(channel.pushes.length, 2);
});

test("nothing of one person is left for the next", () => {
  outbox.add("7", "one");
  outbox.close();
  outgoing.joined(channel);
  assert.deepEqual(channel.pushes, []);
});
