// Tests how the page counts and passes on what it is told of listings.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Clock } from "../../clients/clock.mjs";
import { Socket } from "../../clients/socket.mjs";
import { Alerts, sentenceOf } from "../../../api/web/realtime/alerts.js";

let clock, socket, api, said, news, alerts, connection;

const match = (id) => ({ id, kind: "match", title: "A Camry", search: { id: 1, name: "Mine" } });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Answers a request for the count that is under way. */
async function answers(unseen, newest) {
  api.waiting.shift().resolve({ data: newest ? [match(newest)] : [], unseen });
  await turn();
}

beforeEach(() => {
  clock = Clock.install();
  socket = new Socket();
  said = [];
  news = [];
  api = {
    waiting: [],
    seen: [],
    get: () => new Promise((resolve, reject) => api.waiting.push({ resolve, reject })),
    put: async (path, body) => (api.seen.push([path, body]), { unseen: 0 }),
  };
  connection = {
    isKept: true,
    join: (topic, params) => {
      const channel = socket.channel(topic, params);
      return { channel, joining: channel.join() };
    },
  };
  alerts = new Alerts({ connection, api, announce: (text) => said.push(text) });
  alerts.onNews((alert) => news.push(alert.id));
  alerts.open(7);
});

test("the server's count is shown after the join, and live alerts are added to it once", async () => {
  assert.equal(socket.last.topic, "alerts:7");
  assert.deepEqual(socket.last.params(), {});
  socket.last.joining.answer("ok", {});
  await answers(3, 12);
  assert.equal(alerts.unseen, 3);
  socket.last.events.match(match(13));
  socket.last.events.match(match(13));
  assert.deepEqual([alerts.unseen, news, said], [4, [13], ["New for “Mine”: A Camry"]]);
});

test("an alert that arrives while the server counts is counted once", async () => {
  socket.last.joining.answer("ok", {});
  socket.last.events.match(match(12));
  socket.last.events.match(match(13));
  await answers(5, 12);
  assert.equal(alerts.unseen, 6);
});

test("each join asks for what was missed since, passes it on, and counts again", async () => {
  socket.last.joining.answer("ok", {});
  await answers(1, 12);
  assert.deepEqual(socket.last.params(), { after_id: 12 });
  socket.last.joining.answer("ok", { alerts: [match(12), match(14)], complete: true });
  await answers(2, 14);
  assert.deepEqual([alerts.unseen, news, said], [2, [12, 14], []]);
  assert.deepEqual(socket.last.params(), { after_id: 14 });
});

test("the count is asked for again while the API is away", async () => {
  socket.last.joining.answer("ok", {});
  api.waiting.shift().reject(new Error("away"));
  await turn();
  await clock.pass(3_000);
  await answers(2, 5);
  assert.equal(alerts.unseen, 2);
});

test("what is seen here or on another device is no longer new", async () => {
  socket.last.joining.answer("ok", {});
  await answers(3, 12);
  socket.last.events.seen({ up_to: 11, unseen: 1 });
  assert.equal(alerts.unseen, 1);
  await alerts.see(12);
  assert.deepEqual([alerts.unseen, api.seen], [0, [["/api/alerts/seen", { up_to: 12 }]]]);
});

test("after a log-out nothing of it is left", async () => {
  socket.last.joining.answer("ok", {});
  const channel = socket.last;
  alerts.close();
  await answers(3, 12);
  assert.deepEqual([alerts.unseen, channel.hasLeft], [0, true]);
});

test("each kind of alert has its words", () => {
  const of = (kind) => sentenceOf({ kind, title: "A car", search: { name: "Mine" }, reply: { author: { name: "Bob" }, text: "Nice" } });
  assert.deepEqual(["match", "price_drop", "sold", "removed", "ended", "ends", "reply"].map(of), [
    "New for “Mine”: A car",
    "Cheaper now: A car",
    "Sold: A car",
    "No longer available: A car",
    "Has ended: A car",
    "Your listing ends soon: A car",
    "Bob replied to A car: Nice",
  ]);
});
