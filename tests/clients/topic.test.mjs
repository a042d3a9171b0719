// Tests catching up, and several chats on one socket, with a server that answers when a test says so.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { PrivateChat } from "../../clients/javascript/private_chat/index.js";
import { Clock, settled } from "./clock.mjs";
import { Socket } from "./socket.mjs";

const RETRY_MS = 1_000;
const ANSWER_MS = 30_000;

let clock, socket, shown, told;

/** A chat that puts the ids of its messages into `shown`, and its other news into `told`. */
function chatOf(options = {}) {
  const say = (what) => (news) => told.push(news === undefined ? what : [what, news]);
  const hooks = { onCaughtUp: say("caught up"), onLost: say("lost"), onRefused: say("refused") };
  return new PrivateChat(socket, 7, { onMessage: ({ id }) => shown.push(id), ...hooks, ...options });
}

const list = (...ids) => ids.map((id) => ({ id }));

beforeEach(() => {
  clock = Clock.install();
  socket = new Socket();
  shown = [];
  told = [];
});

test("a message after a gap is shown, but does not count as seen before the gap is closed", async () => {
  let release;
  async function* readOn(afterId) {
    assert.equal(afterId, 3);
    yield list(4, 5);
    await new Promise((resolve) => (release = resolve));
    yield list(6);
  }
  const chat = chatOf({ readOn });
  assert.deepEqual([socket.last.topic, socket.last.params()], ["private_chat:7", { after_id: 0 }]);
  socket.joined(list(2, 3), false);
  socket.hears("send", { id: 9 });
  await settled();
  assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [5, false, [2, 3, 9, 4, 5]]);
  // The connection is lost meanwhile. The next join begins before the gap, not after it.
  socket.breaks(1006);
  release();
  await settled();
  assert.deepEqual(socket.last.params(), { after_id: 5 });
  socket.joined(list(6, 9));
  await settled();
  assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [9, true, [2, 3, 9, 4, 5, 6]]);
});

test("a message after a gap counts as seen when the gap is closed", async () => {
  const chat = chatOf({
    readOn: async function* () {
      yield list(4);
    },
  });
  socket.joined(list(3), false);
  socket.hears("send", { id: 9 });
  await settled();
  assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [9, true, [3, 9, 4]]);
});

test("without REST the chat joins again from the last id until the answer is complete", async () => {
  const chat = chatOf({ afterId: 1 });
  const first = socket.last;
  socket.joined(list(2, 3), false);
  await settled();
  assert.ok(first.hasLeft && socket.last !== first);
  // Messages of the earlier channel are ignored.
  first.events.send({ id: 4 });
  assert.deepEqual([socket.last.params(), shown], [{ after_id: 3 }, [2, 3]]);
  socket.joined(list(4));
  for (const id of [8, 7]) socket.hears("send", { id });
  assert.deepEqual([chat.afterId, shown], [8, [2, 3, 4, 8, 7]]);
});

test("after an incomplete answer without new messages the chat waits before it joins again", async () => {
  chatOf({ afterId: 3 });
  const first = socket.last;
  socket.joined(list(3), false);
  await clock.pass(RETRY_MS - 1);
  assert.equal(socket.last, first);
  await clock.pass(1);
  assert.notEqual(socket.last, first);
});

test("failed reading goes on from the last id that was read", async () => {
  const chat = chatOf({
    readOn: async function* () {
      yield list(2);
      throw new Error("away");
    },
  });
  socket.joined(list(1), false);
  await clock.pass(RETRY_MS);
  assert.deepEqual(socket.last.params(), { after_id: 2 });
  socket.joined(list(3));
  await settled();
  assert.deepEqual([chat.isCaughtUp, chat.afterId], [true, 3]);
});

test("a message that arrives twice is shown once, and isLive says whether it was broadcast", async () => {
  const seen = [];
  chatOf({ onMessage: ({ id }, { isLive }) => seen.push([id, isLive]) });
  socket.joined(list(1, 2));
  await settled();
  for (const id of [2, 3, 3]) socket.hears("send", { id });
  socket.breaks(1006);
  socket.joined(list(2, 3, 4));
  await settled();
  assert.deepEqual(seen, [[1, false], [2, false], [3, true], [4, false]]);
  assert.deepEqual(told, ["caught up", "lost", "caught up"]);
});

test("afterId may be a function, which is called again until it succeeds", async () => {
  let asked = 0;
  const chat = chatOf({
    afterId: async () => {
      asked += 1;
      if (asked < 3) throw new Error("away");
      return 38;
    },
  });
  const sending = chat.send({ to: 8, message: "early" });
  await clock.pass(RETRY_MS);
  assert.deepEqual([asked, chat.channel, chat.typing(8)], [2, null, false]);
  socket.opens();
  socket.breaks(1006);
  await clock.pass(RETRY_MS);
  assert.deepEqual([asked, socket.last.params(), chat.afterId], [3, { after_id: 38 }, 38]);
  socket.joined();
  await settled();
  socket.last.pushes[0].answer("ok", { id: 39 });
  assert.deepEqual([await sending, told], [{ id: 39 }, ["caught up"]]);
});

test("a chat that leaves before afterId is known never joins", async () => {
  let asked = 0;
  const options = {
    afterId: async () => {
      asked += 1;
      throw new Error("away");
    },
  };
  const chat = chatOf(options);
  await settled();
  chat.leave();
  await clock.pass(10 * RETRY_MS);
  assert.deepEqual([asked, socket.channels], [1, []]);
});

test("of two chats on one socket, one that does not know its afterId gets no messages and keeps the channel", async () => {
  let begin;
  const first = chatOf();
  const [late, lateNews] = [[], []];
  const second = chatOf({
    afterId: () => new Promise((resolve) => (begin = resolve)),
    onMessage: ({ id }) => late.push(id),
    onCaughtUp: () => lateNews.push("caught up"),
  });
  await settled();
  socket.joined(list(1, 2));
  await settled();
  const channel = socket.last;
  first.leave();
  assert.deepEqual([late, lateNews, channel.hasLeft, second.isCaughtUp, second.afterId], [[], [], false, false, null]);
  begin(1);
  await settled();
  assert.deepEqual(socket.last.params(), { after_id: 1 });
  socket.joined(list(2));
  await settled();
  assert.deepEqual([late, lateNews, second.afterId], [[2], ["caught up"], 2]);
});

test("two chats on one socket share a channel, which is joined again for a chat with a lower afterId", async () => {
  const chats = [chatOf({ afterId: 5 })];
  socket.joined(list(6));
  await settled();
  const other = [];
  chats.push(chatOf({ afterId: 6, onMessage: ({ id }) => other.push(id) }));
  assert.equal(socket.channels.length, 1);
  chats.push(chatOf({ afterId: 2, onMessage: ({ id }) => other.push(id) }));
  assert.deepEqual(socket.last.params(), { after_id: 2 });
  socket.joined(list(3, 6));
  await settled();
  assert.deepEqual(shown, [6, 3]);
  for (const chat of chats) chat.leave();
  assert.deepEqual(socket.channels, []);
});

test("read and typing events are received, and can be sent while the channel is joined", async () => {
  const heard = [];
  const chat = chatOf({ onRead: (payload) => heard.push(payload), onTyping: (payload) => heard.push(payload) });
  assert.deepEqual([chat.read(8, 5), chat.typing("8")], [false, false]);
  socket.joined();
  await settled();
  assert.deepEqual([chat.read(8, 5), chat.typing("8")], [true, true]);
  assert.deepEqual(
    socket.last.pushes.map(({ event, payload }) => [event, payload]),
    [["read", { with: "8", up_to: 5 }], ["typing", { to: "8" }]],
  );
  const news = [{ by: "8", with: "7", up_to: 4 }, { from: "8", to: "7" }];
  socket.hears("read", news[0]);
  socket.hears("typing", news[1]);
  assert.deepEqual(heard, news);
  socket.breaks(1006);
  assert.deepEqual([chat.read(8, 6), chat.typing("8")], [false, false]);
});

test("further events are heard by those who ask for them, whenever they come, and pushed by their names", async () => {
  const heard = [];
  const chat = chatOf({ on: { wave: ({ from }) => heard.push(`first ${from}`) } });
  chatOf({ onTyping: () => heard.push("typing") });
  socket.joined();
  await settled();
  const later = chatOf({ on: { wave: ({ from }) => heard.push(`later ${from}`), bye: () => heard.push("bye") } });
  assert.equal(chat.push("wave", { to: "8" }), true);
  assert.deepEqual(socket.last.pushes.map(({ event, payload }) => [event, payload]), [["wave", { to: "8" }]]);
  socket.hears("wave", { from: "8", to: "7" });
  socket.hears("bye", {});
  assert.deepEqual(heard, ["first 8", "later 8", "bye"]);
  later.leave();
  socket.breaks(1006);
  socket.opens?.();
  assert.equal(chat.push("wave", { to: "8" }), false);
});

test("a channel that the server closes is joined again after a while, unless another one has replaced it", async () => {
  chatOf();
  const first = socket.last;
  socket.joined();
  await settled();
  first.events.close();
  await clock.pass(RETRY_MS);
  assert.notEqual(socket.last, first);
  const second = socket.last;
  socket.joined();
  socket.channel(second.topic, {});
  second.events.close();
  await clock.pass(10 * RETRY_MS);
  assert.ok(!second.hasLeft);
});

test("a channel that was not told of the end of its connection is joined again", async () => {
  chatOf();
  const first = socket.last;
  socket.joined();
  await settled();
  socket.opens();
  assert.ok(first.hasLeft && socket.last !== first);
});

test("a message after which the server closes the channel three times fails", async () => {
  const chat = chatOf();
  const outcome = chat.send({ to: 8, message: "poison" }).catch(({ reason }) => reason);
  for (let times = 0; times < 3; times += 1) {
    socket.joined();
    await clock.pass(RETRY_MS);
    assert.equal(socket.last.texts.length, 1);
    socket.last.events.close();
    await clock.pass(RETRY_MS);
  }
  assert.equal(await outcome, "could not be sent");
});

for (const answer of [
  null, "text", [], {}, { messages: {} }, { messages: [null], complete: true }, { messages: [{ id: "5" }], complete: true },
  { complete: true }, { messages: [], complete: "yes" }, { messages: [] }, { messages: "text", complete: true },
]) {
  test(`after an unreadable answer the chat joins again, with longer waits: ${JSON.stringify(answer)}`, async () => {
    const chat = chatOf();
    for (const pause of [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS]) {
      const before = socket.last;
      before.joining.answer("ok", answer);
      await clock.pass(pause - 1);
      assert.equal(socket.last, before);
      await clock.pass(1);
      assert.notEqual(socket.last, before);
    }
    assert.deepEqual([chat.isCaughtUp, told], [false, []]);
    socket.joined(list(1));
    await settled();
    assert.deepEqual([chat.afterId, chat.isCaughtUp, shown], [1, true, [1]]);
  });
}

for (const payload of [null, undefined, [], {}, "text", 7, { id: null }, { id: "5" }, { id: -1 }, { id: 1.5 }]) {
  test(`a malformed broadcast is ignored: ${JSON.stringify(payload)}`, async () => {
    const chat = chatOf();
    socket.joined(list(1));
    await settled();
    for (const event of ["send", "read", "typing"]) socket.hears(event, payload);
    socket.hears("send", { id: 2 });
    assert.deepEqual([chat.afterId, shown], [2, [1, 2]]);
  });
}

for (const [what, readOn] of [
  ["is not a function", 7],
  ["throws", () => { throw new Error("away"); }],
  ["returns a number", () => 7],
  ["yields an object", async function* () { yield { id: 5 }; }],
  ["yields a text", async function* () { yield "text"; }],
  ["yields malformed messages", async function* () { yield [{ id: 4 }, null]; }],
]) {
  test(`the chat joins again when readOn ${what}`, async () => {
    const chat = chatOf({ readOn });
    const first = socket.last;
    socket.joined(list(1), false);
    await clock.pass(RETRY_MS);
    assert.notEqual(socket.last, first);
    assert.deepEqual([socket.last.params(), chat.isCaughtUp], [{ after_id: 1 }, false]);
    socket.joined(list(4, 5));
    await settled();
    assert.deepEqual([chat.isCaughtUp, shown], [true, [1, 4, 5]]);
  });
}

const never = new Promise(() => {});

for (const [what, readOn] of [
  ["never answers", () => ({ [Symbol.asyncIterator]: () => ({ next: () => never }) })],
  ["stops answering", async function* () { yield list(2); await never; }],
]) {
  test(`when readOn ${what}, the chat joins again after a while, and what waits is sent`, async () => {
    const chat = chatOf({ readOn });
    const sent = chat.send({ to: 8, message: "a" });
    const first = socket.last;
    socket.joined(list(1), false);
    await clock.pass(ANSWER_MS - 1);
    assert.deepEqual([socket.last, chat.isCaughtUp], [first, false]);
    await clock.pass(1 + RETRY_MS);
    assert.notEqual(socket.last, first);
    socket.joined(list(3));
    await settled();
    assert.deepEqual([chat.isCaughtUp, chat.afterId, socket.last.texts], [true, 3, ["a"]]);
    socket.last.pushes.at(-1).answer("ok", { id: 4 });
    assert.deepEqual(await sent, { id: 4 });
  });
}

test("reading may take long as long as each page comes in time, and leaving ends it", async () => {
  let pages = 0;
  let isEnded = false;
  const chat = chatOf({
    readOn: async function* () {
      try {
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, ANSWER_MS - 1));
          yield list((pages += 1));
        }
      } finally {
        isEnded = true;
      }
    },
  });
  const first = socket.last;
  socket.joined([], false);
  await clock.pass(3 * ANSWER_MS);
  assert.deepEqual([socket.last, chat.afterId], [first, 3]);
  chat.leave();
  await clock.pass(ANSWER_MS);
  assert.ok(isEnded);
});

test("an afterId that never answers is asked again after a while", async () => {
  const answers = [never, 5];
  const chat = chatOf({ afterId: () => answers.shift() });
  await clock.pass(ANSWER_MS + RETRY_MS - 1);
  assert.deepEqual(socket.channels, []);
  await clock.pass(1);
  assert.deepEqual([chat.afterId, socket.last.params()], [5, { after_id: 5 }]);
});

test("a refused join is reported with its reason", () => {
  chatOf();
  socket.last.joining.answer("error", { reason: "unauthorized" });
  assert.deepEqual(told, [["refused", "unauthorized"]]);
});

test("an application that throws does not stop the chat", async () => {
  const { error } = console;
  const errors = [];
  console.error = (one) => errors.push(one.message);
  const fails = () => {
    throw new Error("the application's");
  };
  const chat = chatOf({ onMessage: fails, onCaughtUp: async () => fails(), onTyping: fails, onChange: fails });
  socket.joined(list(1));
  await settled();
  socket.hears("typing", {});
  console.error = error;
  assert.deepEqual([chat.afterId, chat.isCaughtUp], [1, true]);
  assert.deepEqual(new Set(errors), new Set(["the application's"]));
});

for (const [given, expected] of [
  [NaN, 0], [null, 0], [undefined, 0], [-1, 0], [Infinity, 0], [1.5, 0], ["x", 0], [{}, 0], [true, 0], [10n ** 30n, 0], ["", 0],
  ["0", 0], ["38", 38], [38, 38], [38n, 38],
]) {
  test(`after_id ${String(given)} (${typeof given}) begins at ${expected}`, () => {
    assert.equal(chatOf({ afterId: given }).afterId, expected);
    assert.deepEqual(socket.last.params(), { after_id: expected });
  });
}

test("after leaving nothing is sent, and the unanswered messages can be read", async () => {
  const chat = chatOf();
  chat.send({ to: 8, message: "a" });
  socket.joined();
  await settled();
  chat.leave();
  assert.deepEqual(chat.unanswered.map(({ message }) => message), ["a"]);
  await assert.rejects(chat.send({ to: 8, message: "b" }), { reason: "left" });
  assert.deepEqual(socket.channels, []);
});

test("a chat that has left sends nothing on a channel that another chat keeps", async () => {
  const [chat, other] = [chatOf(), chatOf()];
  socket.joined();
  await settled();
  chat.leave();
  assert.deepEqual([chat.typing(8), chat.read(8, 1), socket.last.pushes], [false, false, []]);
  assert.ok(other.typing(8));
});
