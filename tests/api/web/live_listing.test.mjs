// Tests an open listing: which changes its channel brings, and when the page has to ask for the listing.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Clock } from "../../clients/clock.mjs";
import { Socket } from "../../clients/socket.mjs";

// The module uses these two objects of a browser.
globalThis.window = new EventTarget();
globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
const { LiveListing } = await import("../../../api/web/realtime/live_listing.js");
const { Presence } = await import("../../../api/web/vendor/phoenix/phoenix.mjs");

let clock, socket, connection, told, live;
const listeners = new Set();

function open({ isKept = true } = {}) {
  const join = (topic, params) => {
    const channel = socket.channel(topic, params);
    channel.onMessage = (_event, payload) => payload;
    channel.joinRef = () => "1";
    return { channel, joining: channel.join() };
  };
  const onOpen = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  connection = { isKept, join, onOpen, presence: (channel) => new Presence(channel) };
  const say = (what) => (news) => told.push(news === undefined ? what : [what, news]);
  const hooks = Object.fromEntries(["ask", "askAll", "updated", "reply", "removed", "changed"].map((what) => [what, say(what)]));
  live = new LiveListing("12", { connection, ...hooks });
  live.start();
}

/** Something may have changed since the page was read, so each join makes it ask. */
function joins(asked = "ask") {
  socket.joined();
  assert.equal(told.pop(), asked);
}

beforeEach(() => {
  clock = Clock.install();
  socket = new Socket();
  told = [];
  live?.stop();
  document.visibilityState = "visible";
});

test("a change that contains the listing is shown without asking for it", () => {
  open();
  assert.equal(socket.last.topic, "listing:12");
  joins();
  socket.hears("listing_updated", { id: 12, price: 900 });
  assert.deepEqual(told, [["updated", { id: 12, price: 900 }]]);
});

test("after an event with the id only, pages ask for the listing, each once and at a moment of its own", async (context) => {
  const random = context.mock.method(Math, "random", () => 0.25);
  open();
  joins();
  for (let times = 0; times < 3; times += 1) socket.hears("listing_updated", { id: 12 });
  await clock.pass(749);
  assert.deepEqual(told, []);
  await clock.pass(1);
  assert.deepEqual(told, ["askAll"]);
  // Told again and again, they ask as often as without a channel.
  random.mock.mockImplementation(() => 0.999);
  for (let times = 0; times < 3; times += 1) {
    socket.hears("listing_updated", { id: 12 });
    await clock.pass(3_000);
  }
  assert.deepEqual(told, ["askAll"]);
  await clock.pass(2_000);
  assert.deepEqual(told, ["askAll", "askAll"]);
});

test("a hidden page asks when it is shown, and one that is left does not ask", async () => {
  open();
  joins();
  document.visibilityState = "hidden";
  socket.hears("listing_updated", { id: 12 });
  await clock.pass(3_000);
  assert.deepEqual(told, []);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["askAll"]);
  // Nothing was missed since.
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["askAll", "ask"]);
  socket.hears("listing_updated", { id: 12 });
  live.stop();
  await clock.pass(3_000);
  assert.deepEqual(told, ["askAll", "ask"]);
});

test("a listing that was removed and is there again joins again, once", async () => {
  open();
  joins();
  const channel = socket.last;
  live.follow();
  assert.equal(socket.channels.length, 1);
  channel.events.close();
  assert.deepEqual(told, ["ask"]);
  live.follow();
  assert.equal(socket.channels.length, 1);
  await clock.pass(8_000);
  live.follow();
  live.follow();
  assert.equal(socket.channels.length, 2);
  joins("askAll");
  socket.hears("reply_created", { id: 1 });
  assert.deepEqual(told.at(-1), ["reply", { id: 1 }]);
});

test("a listing that is there before the connection joins as soon as one is opened, and once", () => {
  open({ isKept: false });
  assert.equal(socket.channels.length, 0);
  connection.isKept = true;
  for (const listener of listeners) listener();
  joins();
  socket.hears("reply_created", { id: 1 });
  for (const listener of listeners) listener();
  assert.equal(socket.channels.length, 1);
  assert.deepEqual(told, [["reply", { id: 1 }]]);
  live.stop();
  assert.equal(listeners.size, 0);
});

test("a new reply and the removal of the listing are passed on", () => {
  open();
  socket.hears("reply_created", { id: 1 });
  socket.hears("listing_removed", { id: 12 });
  assert.deepEqual(told, [["reply", { id: 1 }], "removed"]);
});

test("after the first join, as after a lost connection, the page asks for the listing", () => {
  open();
  assert.deepEqual(told, []);
  socket.joined();
  assert.deepEqual(told, ["ask"]);
  socket.breaks(1006);
  assert.deepEqual(told, ["ask"]);
  // While nobody listened, a reply may have come and another one gone.
  socket.joined();
  assert.deepEqual(told, ["ask", "askAll"]);
});

test("the page asks every eight seconds, but only while it is visible and the channel is not joined", async () => {
  open();
  joins();
  await clock.pass(60_000);
  assert.deepEqual(told, []);
  socket.breaks(1006);
  await clock.pass(16_000);
  assert.deepEqual(told, ["ask", "ask"]);
  document.visibilityState = "hidden";
  await clock.pass(60_000);
  assert.equal(told.length, 2);
});

test("a visitor's page has no channel, and asks every eight seconds and when it becomes visible", async () => {
  open({ isKept: false });
  assert.deepEqual(socket.channels, []);
  await clock.pass(8_000);
  window.dispatchEvent(new Event("focus"));
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["ask", "ask", "ask"]);
});

test("the page asks when its join is refused or the server closes its channel", () => {
  open();
  socket.last.joining.answer("error", { reason: "not found" });
  socket.last.events.close();
  assert.deepEqual(told, ["ask", "ask"]);
});

test("a change of the viewers is passed on", () => {
  open();
  joins();
  socket.hears("presence_state", { 7: { metas: [{ phx_ref: "a" }] } });
  socket.hears("presence_diff", { joins: { 8: { metas: [{ phx_ref: "b" }] } }, leaves: {} });
  assert.deepEqual([live.viewers, told], [["7", "8"], ["changed", "changed"]]);
});

test("a stopped listing asks no more, and leaves its channel if the connection is kept", async () => {
  open();
  const channel = socket.last;
  live.stop();
  window.dispatchEvent(new Event("focus"));
  await clock.pass(60_000);
  assert.deepEqual([channel.hasLeft, told], [true, []]);
  open();
  connection.isKept = false;
  live.stop();
  assert.equal(socket.last.hasLeft, false);
});
