// The page's outbox, by itself, on a channel that answers when it is told to.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Outbox } from "../../../api/web/realtime/outbox.js";

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

let channel, outbox, sent, timers;

// The outbox has one timer at most.
globalThis.setTimeout = (work, wait) => timers.push({ work, wait });
globalThis.clearTimeout = (number) => number && delete timers[number - 1];

function tick(wait) {
  const due = timers.filter((one) => one.wait <= wait);
  timers = [];
  for (const { work } of due) work();
}

beforeEach(() => {
  timers = [];
  channel = new Channel();
  sent = [];
  outbox = new Outbox({ sent: (one, { id }) => sent.push([one.message, id]), changed: () => {} });
});

test("what is written without a connection goes out in order when there is one", () => {
  outbox.add("7", "one");
  outbox.add("7", "two", 12);
  assert.deepEqual(outbox.to("7").map((one) => one.state), ["waiting", "waiting"]);
  outbox.joined(channel);
  assert.deepEqual(channel.texts, ["one", "two"]);
  assert.deepEqual(Object.keys(channel.pushes[0].payload).sort(), ["client_ref", "message", "to"]);
  assert.equal(channel.pushes[1].payload.listing_id, 12);
});

test("an answered message leaves the outbox with its id", () => {
  outbox.joined(channel);
  outbox.add("7", "one");
  channel.pushes[0].answer("ok", { id: 5 });
  assert.deepEqual(sent, [["one", 5]]);
  assert.deepEqual(outbox.pending, []);
});

test("what was under way when the connection was lost is sent again under the same reference", () => {
  outbox.joined(channel);
  outbox.add("7", "one");
  outbox.lost();
  assert.equal(outbox.pending[0].state, "waiting");
  outbox.joined(channel);
  const [first, second] = channel.pushes.map((one) => one.payload.client_ref);
  assert.equal(first, second);
  assert.match(first, /^[0-9a-f]{32}$/);
});

test("two messages never share a reference", () => {
  outbox.joined(channel);
  outbox.add("7", "same");
  outbox.add("7", "same");
  assert.notEqual(channel.pushes[0].payload.client_ref, channel.pushes[1].payload.client_ref);
});

test("a broadcast that comes before the answer hides the pending message, and the answer still settles it", () => {
  outbox.joined(channel);
  outbox.add("7", "one");
  outbox.seen({ id: 5, to: "7", message: "one" });
  assert.deepEqual(outbox.to("7"), []);
  assert.equal(outbox.pending.length, 1);
  channel.pushes[0].answer("ok", { id: 5 });
  assert.deepEqual(outbox.pending, []);
});

test("a broadcast settles one of two equal messages, not both", () => {
  outbox.joined(channel);
  outbox.add("7", "same");
  outbox.add("7", "same");
  outbox.seen({ id: 5, to: "7", message: "same" });
  assert.equal(outbox.to("7").length, 1);
});

for (const reason of ["too many requests", "try again"]) {
  test(`what was refused for now (${reason}) is sent again after a while`, () => {
    outbox.joined(channel);
    outbox.add("7", "one");
    channel.pushes[0].answer("error", { reason });
    assert.equal(outbox.pending[0].state, "waiting");
    assert.equal(channel.pushes.length, 1);
    tick(2_000);
    assert.deepEqual(channel.texts, ["one", "one"]);
  });
}

test("what was refused for good says why, and is sent again or discarded by its writer only", () => {
  outbox.joined(channel);
  const one = outbox.add("7", "one");
  channel.pushes[0].answer("error", { reason: "invalid message", errors: { message: ["Too long."] } });
  assert.deepEqual([one.state, one.reason], ["refused", "Too long."]);
  outbox.joined(channel);
  tick(60_000);
  assert.equal(channel.pushes.length, 1);
  outbox.again(one);
  assert.equal(channel.pushes.length, 2);
  outbox.discard(one);
  assert.deepEqual(outbox.pending, []);
});

test("an answer that does not come is asked for again, unless the connection is another by then", () => {
  outbox.joined(channel);
  outbox.add("7", "one");
  channel.pushes[0].answer("timeout");
  tick(2_000);
  assert.equal(channel.pushes.length, 2);
  outbox.lost();
  channel.pushes[1].answer("timeout");
  tick(60_000);
  assert.equal(channel.pushes.length, 2);
});

test("nothing of one person is left for the next", () => {
  outbox.add("7", "one");
  outbox.close();
  outbox.joined(channel);
  assert.deepEqual(channel.pushes, []);
});
