// An open listing: what its channel tells, and what is asked for because it does not.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Clock } from "../../clients/clock.mjs";
import { Socket } from "../../clients/socket.mjs";

// What the module asks of a browser.
globalThis.window = new EventTarget();
globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
const { LiveListing } = await import("../../../api/web/realtime/live_listing.js");

let clock, socket, connection, told, live;

function open({ isKept = true } = {}) {
  const join = (topic, params) => {
    const channel = socket.channel(topic, params);
    channel.onMessage = (_event, payload) => payload;
    channel.joinRef = () => "1";
    return { channel, joining: channel.join() };
  };
  connection = { isKept, join };
  const say = (what) => (news) => told.push(news === undefined ? what : [what, news]);
  const hooks = Object.fromEntries(["ask", "updated", "reply", "removed", "changed"].map((what) => [what, say(what)]));
  live = new LiveListing("12", { connection, ...hooks });
  live.start();
}

beforeEach(() => {
  clock = Clock.install();
  socket = new Socket();
  told = [];
  live?.stop();
  document.visibilityState = "visible";
});

test("a change that came with the listing is shown as it came; nobody asks for it again", () => {
  open();
  assert.equal(socket.last.topic, "listing:12");
  socket.joined();
  socket.hears("listing_updated", { id: 12, price: 900 });
  assert.deepEqual(told, [["updated", { id: 12, price: 900 }]]);
});

test("a change of which only the id came is asked for", () => {
  open();
  socket.joined();
  socket.hears("listing_updated", { id: 12 });
  assert.deepEqual(told, ["ask"]);
});

test("replies and its end are told", () => {
  open();
  socket.hears("reply_created", { id: 1 });
  socket.hears("listing_removed", { id: 12 });
  assert.deepEqual(told, [["reply", { id: 1 }], "removed"]);
});

test("after a connection that was lost it is asked for, as something may have happened", () => {
  open();
  socket.joined();
  socket.breaks(1006);
  assert.deepEqual(told, []);
  socket.joined();
  assert.deepEqual(told, ["ask"]);
});

test("while it is joined nobody asks; without a channel it is asked for every eight seconds, where it is seen", async () => {
  open();
  socket.joined();
  await clock.pass(60_000);
  assert.deepEqual(told, []);
  socket.breaks(1006);
  await clock.pass(16_000);
  assert.deepEqual(told, ["ask", "ask"]);
  document.visibilityState = "hidden";
  await clock.pass(60_000);
  assert.equal(told.length, 2);
});

test("a visitor, who has no channel, asks every eight seconds and on coming back", async () => {
  open({ isKept: false });
  assert.deepEqual(socket.channels, []);
  await clock.pass(8_000);
  window.dispatchEvent(new Event("focus"));
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["ask", "ask", "ask"]);
});

test("a refused join, or a channel that the server closes, is a reason to ask", () => {
  open();
  socket.last.joining.answer("error", { reason: "not found" });
  socket.last.events.close();
  assert.deepEqual(told, ["ask", "ask"]);
});

test("who looks at it is told", () => {
  open();
  socket.joined();
  socket.hears("presence_state", { 7: { metas: [{ phx_ref: "a" }] } });
  socket.hears("presence_diff", { joins: { 8: { metas: [{ phx_ref: "b" }] } }, leaves: {} });
  assert.deepEqual([live.viewers, told], [["7", "8"], ["changed", "changed"]]);
});

test("a page that is left asks no more, and leaves the channel; one whose connection was closed does not", async () => {
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
