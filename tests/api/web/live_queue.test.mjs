// Tests how the page follows the moderators' queue: what changes, who holds which group, and its own claim.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Socket } from "../../clients/socket.mjs";

const { LiveQueue } = await import("../../../api/web/realtime/live_queue.js");
const { Presence } = await import("../../../api/web/vendor/phoenix/phoenix.mjs");

const ME = 1;
const CAR = { kind: "listing", id: 5 };

let socket, told, queue;

beforeEach(() => {
  socket = new Socket();
  told = [];
  const join = (topic, params) => {
    const channel = socket.channel(topic, params);
    channel.onMessage = (_event, payload) => payload;
    channel.joinRef = () => "1";
    return { channel, joining: channel.join() };
  };
  const connection = { isKept: true, join, onOpen: () => () => {}, presence: (channel) => new Presence(channel) };
  queue = new LiveQueue({
    connection,
    me: ME,
    changed: ({ kind, id }) => told.push(`${kind} ${id}`),
    readAgain: () => told.push("read again"),
    held: () => told.push("held"),
  });
  queue.start();
});

const meta = (user_id, at, phx_ref) => ({ user_id, at, phx_ref, name: `User ${user_id}` });

function present(...metas) {
  socket.hears("presence_state", { "listing:5": { metas } });
}

test("a group that was reported, resolved or opened again is read again", () => {
  socket.joined();
  told.length = 0;
  for (const event of ["reported", "resolved", "reopened"]) socket.hears(event, CAR);
  socket.hears("look_again", {});
  assert.deepEqual(told, ["listing 5", "listing 5", "listing 5", "read again"]);
});

test("the queue is read again at the first join, and when the connection is back", () => {
  assert.deepEqual(told, []);
  socket.joined();
  assert.deepEqual(told, ["read again"]);
  socket.joined();
  assert.deepEqual(told, ["read again", "read again"]);
});

test("the first of those who claimed a group holds it, by the time and then by the ref", () => {
  socket.joined();
  assert.equal(queue.holder(CAR), null);
  present(meta(3, 20, "A"), meta(2, 10, "C"), meta(4, 10, "D"));
  assert.equal(queue.holder(CAR).user_id, 2);
  assert.equal(queue.holder({ kind: "person", id: 5 }), null);
});

test("nobody else holds a group that this moderator holds, on this device or another", () => {
  socket.joined();
  present(meta(ME, 10, "A"), meta(2, 20, "B"));
  assert.equal(queue.holder(CAR), null);
});

const claims = () => socket.last.pushes.filter(({ event }) => event === "claim").map(({ payload }) => payload);

test("what this page holds it claims again when the connection is back, unless somebody took it", () => {
  socket.joined();
  queue.claim(CAR);
  socket.joined();
  assert.deepEqual(claims(), [CAR, CAR]);
  queue.claim(CAR, { take: true });
  socket.hears("taken", { ...CAR, by: { id: ME } });
  socket.hears("taken", { kind: "person", id: 5, by: { id: 2 } });
  socket.joined();
  assert.deepEqual(claims().slice(2), [{ ...CAR, take: true }, CAR]);
  socket.hears("taken", { ...CAR, by: { id: 2 } });
  socket.joined();
  assert.equal(claims().length, 4);
});
