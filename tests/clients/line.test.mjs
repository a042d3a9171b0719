// Tests the client's handling of the connection: how often it connects, when it falls back, and how it checks for life.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Line } from "../../clients/javascript/private_chat/index.js";
import { Clock } from "./clock.mjs";
import { LongPoll, Socket } from "./socket.mjs";

let clock;

/** A line on a socket, with a listener that answers `isOurs` when a connection broke: whether a message caused it. */
function lineOf(options, isOurs = false) {
  const socket = new Socket(options);
  const line = Line.of(socket);
  const breaks = [];
  line.add({ opened: () => {}, broke: (how) => breaks.push(how) && isOurs });
  return { socket, line, breaks };
}

/** Reconnect for `ms` as phoenix.js does; `server` treats each connection. Returns the times of the connects. */
async function connects(socket, ms, server) {
  const end = clock.now + ms;
  const times = [];
  // phoenix.js counts the tries since the last connection that opened.
  for (let tries = 1; clock.now < end; ) {
    await clock.pass(socket.reconnectTimer.timerCalc(tries));
    socket.connect();
    times.push(clock.now);
    tries = (await server()) ? 1 : tries + 1;
  }
  return times;
}

beforeEach(() => {
  clock = Clock.install();
});

for (const [how, lasts] of [
  ["refuses each connection", null],
  ["cuts each connection at once", 0],
  ["cuts each connection after 300 ms", 300],
]) {
  test(`the client soon connects only every five seconds to a server that ${how}`, async () => {
    const { socket } = lineOf();
    const times = await connects(socket, 60_000, async () => {
      if (lasts !== null) socket.opens();
      await clock.pass(lasts ?? 0);
      socket.breaks(1006);
      return lasts !== null;
    });
    assert.ok(times[3] - times[0] < 2_000, "the first connects must come soon");
    const waits = times.slice(1).map((time, index) => time - times[index]);
    assert.ok(waits.length > 15 && waits.slice(8).every((wait) => wait >= 5_000), `${waits}`);
  });
}

test("after a connection of ten seconds the waits begin anew", async () => {
  const { socket } = lineOf();
  const calc = () => socket.reconnectTimer.timerCalc(1);
  const waits = Array.from({ length: 10 }, calc);
  assert.deepEqual(waits, [10, 50, 100, 150, 200, 250, 500, 1_000, 2_000, 5_000]);
  socket.opens();
  await clock.pass(9_999);
  assert.equal(calc(), 5_000);
  await clock.pass(1);
  assert.equal(calc(), 10);
});

test("an application's own waits are used only if they are longer", () => {
  const asked = [];
  const { socket } = lineOf({ reconnectAfterMs: (tries) => asked.push(tries) && (tries < 3 ? 1 : 60_000) });
  const waits = [1, 1, 1].map((tries) => socket.reconnectTimer.timerCalc(tries));
  assert.deepEqual([waits, asked], [[10, 50, 60_000], [1, 2, 3]]);
});

async function cut(socket, { after = 300, code = 1006, times = 3 } = {}) {
  for (let time = 0; time < times; time += 1) {
    socket.connect();
    socket.opens();
    await clock.pass(after);
    socket.breaks(code);
  }
}

test("three short WebSockets in a row lead to long polling if the socket has the fallback", async () => {
  const { socket } = lineOf({ longPollFallbackMs: 2_500 });
  await cut(socket, { times: 2 });
  assert.equal(socket.transport, "WebSocket");
  await cut(socket, { times: 1 });
  assert.equal(socket.transport, LongPoll);
  assert.ok(Line.of(socket).isLongPoll);
});

for (const [what, options, how, isOurs] of [
  ["the socket has no fallback", {}, {}, false],
  ["the connections lasted", { longPollFallbackMs: 2_500 }, { after: 5_000 }, false],
  ["the server closed with a reason", { longPollFallbackMs: 2_500 }, { code: 1012 }, false],
  ["a message may be the cause", { longPollFallbackMs: 2_500 }, {}, true],
]) {
  test(`broken WebSockets do not lead to long polling if ${what}`, async () => {
    const { socket } = lineOf(options, isOurs);
    await cut(socket, { times: 9, ...how });
    assert.equal(socket.transport, "WebSocket");
  });
}

for (const [code, mayBeOurs] of [[1006, true], [1011, true], [1005, true], [1001, false], [1012, false], [1013, false], [1000, true], [1008, true]]) {
  test(`a message ${mayBeOurs ? "may be" : "is not"} the cause of a connection that ends with ${code}`, async () => {
    const { socket, breaks } = lineOf();
    await cut(socket, { after: 12_000, code, times: 1 });
    socket.breaks(code);
    // The second connection was never open.
    assert.deepEqual(breaks, [{ mayBeOurs, wasShort: false }, { mayBeOurs: false, wasShort: true }]);
  });
}

test("the client connects again after a close with 1000, where some versions of phoenix.js do not", async () => {
  const { socket } = lineOf();
  const { reconnectTimer } = socket;
  let scheduled = 0;
  reconnectTimer.scheduleTimeout = () => (scheduled += reconnectTimer.timerCalc(1) > 0);
  await cut(socket, { code: 1000, times: 1 });
  assert.equal(scheduled, 1);
  // A version that connects again by itself.
  socket.connect();
  socket.opens();
  reconnectTimer.timerCalc(1);
  socket.breaks(1000);
  socket.closeWasClean = true;
  await cut(socket, { code: 1000, times: 1 });
  assert.equal(scheduled, 1);
});

test("a message is not the cause when phoenix.js closes a WebSocket after an unanswered heartbeat", async () => {
  const { socket, breaks } = lineOf();
  socket.connect();
  socket.opens();
  socket.pendingHeartbeatRef = "5";
  socket.heartbeatTimeout();
  await cut(socket, { code: 1000, times: 1 });
  assert.deepEqual(breaks.map(({ mayBeOurs }) => mayBeOurs), [false, true]);
});

test("a message is not the cause when a long poll ends without a code", async () => {
  const { socket, breaks } = lineOf();
  socket.transport = LongPoll;
  await cut(socket, { code: 1005, times: 1 });
  assert.deepEqual(breaks, [{ mayBeOurs: false, wasShort: true }]);
});

test("a connect that hangs is given up after ten seconds", async () => {
  const { socket } = lineOf();
  socket.connect();
  await clock.pass(10_000);
  assert.equal(socket.connects, 1);
  await clock.pass(2_000);
  assert.equal(socket.connects, 2);
});

test("a socket that the application disconnected or never connected stays disconnected", async () => {
  const [idle, used] = [lineOf().socket, lineOf().socket];
  used.connect();
  used.opens();
  await clock.pass(2_000);
  used.closeWasClean = true;
  used.disconnect();
  await clock.pass(60_000);
  assert.deepEqual([idle.connects, used.connects], [0, 1]);
});

test("a long poll without a message for ten seconds is pinged, and replaced if it does not answer", async () => {
  const { socket } = lineOf();
  socket.transport = LongPoll;
  socket.connect();
  socket.opens();
  await clock.pass(10_000);
  assert.equal(socket.pings.length, 0);
  await clock.pass(1_000);
  assert.deepEqual([socket.pings.length, socket.connects], [1, 1]);
  await clock.pass(5_000);
  assert.equal(socket.connects, 2);
});

test("a line that slept asks for a sign of life as soon as it wakes, and connects again without one", async () => {
  const { socket } = lineOf();
  socket.connect();
  socket.opens();
  await clock.pass(5_000);
  clock.sleep(5_000);
  await clock.pass(2_000);
  assert.equal(socket.pings.length, 0);
  clock.sleep(20_000);
  await clock.pass(1_000);
  assert.deepEqual([socket.pings.length, socket.connects], [1, 1]);
  await clock.pass(5_000);
  assert.equal(socket.connects, 2);
});

test("a hidden page, whose timers run once a minute, slept only if it was longer", async () => {
  const { socket } = lineOf();
  socket.connect();
  socket.opens();
  globalThis.document = { visibilityState: "hidden" };
  try {
    await clock.pass(5_000);
    clock.sleep(60_000);
    await clock.pass(2_000);
    assert.equal(socket.pings.length, 0);
    clock.sleep(3_600_000);
    await clock.pass(1_000);
    assert.equal(socket.pings.length, 1);
  } finally {
    delete globalThis.document;
  }
});

test("concurrent questions whether the line is alive share one ping", async () => {
  const { socket, line } = lineOf();
  socket.connect();
  socket.opens();
  const answers = [line.isAlive(), line.isAlive()];
  socket.pings[0]();
  assert.deepEqual([await Promise.all(answers), socket.pings.length], [[true, true], 1]);
  await clock.pass(60_000);
  assert.equal(socket.connects, 1);
});

test("a line without listeners checks no more", async () => {
  const socket = new Socket();
  const line = Line.of(socket);
  const listener = { opened: () => {}, broke: () => false };
  line.add(listener);
  socket.connect();
  line.remove(listener);
  await clock.pass(60_000);
  assert.equal(socket.connects, 1);
});
