// Tests the page's list of conversations, with a REST API, a socket and a clock that each test controls.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Inbox } from "../../../api/web/realtime/inbox.js";
import { PrivateChat } from "../../../clients/javascript/private_chat/index.js";
import { Clock, settled } from "../../clients/clock.mjs";
import { Socket } from "../../clients/socket.mjs";

const ME = "3";
const [ANN, BOB] = ["7", "8"];
const NAMES = { [ANN]: "Ann", [BOB]: "Bob" };

/** Stands for the REST API: stores messages and answers requests. */
class Rest {
  messages = [];
  asked = [];
  /** Conversations that were answered. */
  rows = 0;
  /** By the other user's id: "open" or "declined". */
  requests = {};
  isAway = false;
  /** It takes requests, and answers none. */
  isSilent = false;

  /** Store a message without broadcasting it. */
  store(id, from, to, text = `number ${id}`) {
    const message = { id, from, to, message: text, listing_id: null, inserted_at: "", read_at: null };
    this.messages.push(message);
    return message;
  }

  async get(path, { query, signal }) {
    this.asked.push(path);
    if (this.isSilent) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    // The answer is made now and arrives later: it shows the state at the time of the request.
    const answer = JSON.stringify(this.#answer(path, query));
    await this.delay;
    if (this.isAway) throw new Error("away");
    return JSON.parse(answer);
  }

  #answer(path, { after_id: afterId, limit, cursor, sort, user_ids: userIds, request = null }) {
    if (path === "/api/conversations") {
      const all = this.#conversations();
      if (sort === "user") all.sort((a, b) => a.user.id - b.user.id);
      const isAsked = (one) => (userIds ? userIds.split(",").includes(String(one.user.id)) : one.request === request);
      const found = all.filter(isAsked);
      const begin = Number(cursor ?? 0);
      const data = found.slice(begin, begin + limit);
      this.rows += data.length;
      return { data, next_cursor: begin + limit < found.length ? String(begin + limit) : null };
    }
    if (path === "/api/messages") return { data: this.messages.filter(({ id }) => id > afterId), next_cursor: null };
    const [, other] = path.match(/^\/api\/conversations\/(\d+)\/messages$/);
    return { data: this.messages.filter(({ from, to }) => from === other || to === other), next_cursor: null };
  }

  #conversations() {
    const found = new Map();
    for (const message of this.messages) {
      const other = message.from === ME ? message.to : message.from;
      const unread = (found.get(other)?.unread_count ?? 0) + (message.to === ME && !message.read_at ? 1 : 0);
      found.delete(other);
      const user = { id: Number(other), name: NAMES[other] };
      found.set(other, { user, last_message: message, unread_count: unread, request: this.requests[other] ?? null });
    }
    return [...found.values()].reverse();
  }
}

let clock, socket, rest, inbox, announced;

beforeEach(() => {
  clock = Clock.install();
  socket = new Socket();
  rest = new Rest();
  announced = [];
  const chat = (userId, options) => new PrivateChat(socket, userId, options);
  inbox = new Inbox({ connection: { chat }, api: rest, announce: (text) => announced.push(text), pageItems: 100 });
});

/** Open the inbox: it has read everything up to now, and has joined its topic. */
async function open() {
  inbox.open(Number(ME));
  await settled();
  socket.opens();
  socket.joined();
  await settled();
}

const texts = () => inbox.list.map((one) => [one.user.name, one.last_message.message, one.unread_count]);
const thread = (userId) => inbox.thread(userId).messages.map(({ id }) => id);
const reads = () => rest.asked.filter((path) => path === "/api/conversations").length;

test("the inbox reads the conversations from REST and joins with the last message's id", async () => {
  rest.store(1, ANN, ME);
  rest.store(2, ME, BOB);
  await open();
  assert.deepEqual([socket.last.topic, socket.last.params()], [`private_chat:${ME}`, { after_id: 2 }]);
  assert.deepEqual([texts(), inbox.unread], [[["Bob", "number 2", 0], ["Ann", "number 1", 1]], 1]);
});

test("the inbox waits until REST is back, and then shows everything", async () => {
  rest.store(1, ANN, ME);
  rest.isAway = true;
  inbox.open(ME);
  await clock.pass(5_000);
  assert.deepEqual(socket.channels, []);
  rest.isAway = false;
  await clock.pass(1_000);
  assert.deepEqual(socket.last.params(), { after_id: 1 });
  socket.joined();
  await settled();
  assert.deepEqual(texts(), [["Ann", "number 1", 1]]);
});

test("the conversations are there without a connection", async () => {
  rest.store(1, ANN, ME);
  inbox.open(ME);
  await settled();
  assert.deepEqual([inbox.isLoaded, texts()], [true, [["Ann", "number 1", 1]]]);
  // What came until the connection stands is caught up.
  rest.store(2, BOB, ME);
  socket.opens();
  socket.joined([rest.messages[1]]);
  await settled();
  assert.deepEqual(texts(), [["Bob", "number 2", 1], ["Ann", "number 1", 1]]);
});

test("a message that arrives between reading a thread and the join is in the thread", async () => {
  rest.store(1, ANN, ME);
  await inbox.thread(ANN).loadOlder();
  rest.store(2, ANN, ME);
  await open();
  // The server need not repeat messages before `after_id`.
  assert.deepEqual([socket.last.params(), thread(ANN)], [{ after_id: 2 }, [1, 2]]);
});

test("the inbox joins although a thread cannot be read", async () => {
  const get = rest.get.bind(rest);
  rest.get = async (path, options) => {
    if (path.includes("/999/")) throw new Error("there is no such person");
    return get(path, options);
  };
  const reading = inbox.thread("999").loadOlder();
  inbox.open(ME);
  await assert.rejects(reading);
  await clock.pass(1_000);
  assert.equal(socket.channels.length, 1);
});

test("a broadcast message becomes the last one, is unread, is announced, and ends the typing", async () => {
  rest.store(1, ANN, ME);
  await open();
  socket.hears("typing", { from: ANN, to: ME });
  assert.ok(inbox.isTyping(ANN));
  socket.hears("send", rest.store(2, ANN, ME, "Hello"));
  assert.deepEqual([texts(), inbox.unread, inbox.isTyping(ANN)], [[["Ann", "Hello", 2]], 2, false]);
  assert.deepEqual([announced, reads()], [["Ann: Hello"], 4]);
});

test("a request is apart, and is neither counted nor announced, until it is accepted or answered", async () => {
  rest.requests[ANN] = "open";
  rest.requests[BOB] = "declined";
  rest.store(1, ANN, ME);
  rest.store(2, BOB, ME);
  await open();
  const asked = () => inbox.requests.map((one) => one.user.name);
  socket.hears("send", { ...rest.store(3, ANN, ME, "Watches"), request: true });
  await settled();
  assert.deepEqual([texts(), inbox.unread, asked(), announced], [[], 0, ["Ann"], []]);
  // Another device declines, and accepts after all.
  socket.hears("request", { with: ANN, state: "declined" });
  assert.deepEqual([texts(), asked()], [[], []]);
  rest.requests = {};
  socket.hears("request", { with: ANN, state: "accepted" });
  await settled();
  assert.deepEqual([texts(), inbox.unread, asked()], [[["Ann", "Watches", 2]], 2, []]);
  // An answer accepts.
  socket.hears("send", rest.store(4, ME, BOB, "Yes"));
  await settled();
  assert.deepEqual(texts()[0], ["Bob", "Yes", 1]);
  assert.deepEqual(announced, []);
});

test("typing ends after a while without a new event", async () => {
  await open();
  let told = 0;
  inbox.onChange(() => (told += 1));
  socket.hears("typing", { from: ANN, to: ME });
  await clock.pass(4_999);
  assert.deepEqual([inbox.isTyping(ANN), told], [true, 1]);
  await clock.pass(1);
  assert.deepEqual([inbox.isTyping(ANN), told], [false, 2]);
});

test("a first message from a new person reloads the conversations", async () => {
  await open();
  socket.hears("send", rest.store(1, BOB, ME));
  await settled();
  assert.deepEqual(texts(), [["Bob", "number 1", 1]]);
});

test("somebody's first message is announced once the page knows who wrote it, unless it is a request or was deleted", async () => {
  await open();
  rest.requests[ANN] = "open";
  socket.hears("send", { ...rest.store(1, ANN, ME, "Watches"), request: true });
  socket.hears("send", rest.store(2, BOB, ME, "Is the Camry still there?"));
  await settled();
  assert.deepEqual(announced, ["Bob: Is the Camry still there?"]);
  await inbox.ask(BOB);
  assert.equal(announced.length, 1);
});

test("an older answer of REST does not hide a message that arrived in the meantime", async () => {
  rest.store(1, ANN, ME);
  let answer;
  await open();
  rest.delay = new Promise((resolve) => (answer = resolve));
  const loading = inbox.ask(ANN);
  socket.hears("send", rest.store(2, ANN, ME));
  answer();
  await loading;
  assert.deepEqual(texts(), [["Ann", "number 2", 2]]);
});

test("missed messages are in their thread, have the server's unread count, and are not announced", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  socket.breaks(1006);
  const missed = [rest.store(2, ANN, ME), rest.store(3, ANN, ME)];
  assert.deepEqual(socket.last.params(), { after_id: 1 });
  socket.joined(missed);
  await settled();
  assert.deepEqual([thread(ANN), texts(), announced], [[1, 2, 3], [["Ann", "number 3", 3]], []]);
});

test("a gap larger than one answer is read to its end, also when a new message arrives meanwhile", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  socket.breaks(1006);
  const missed = [2, 3, 4].map((id) => rest.store(id, ANN, ME));
  rest.isAway = true;
  socket.joined(missed.slice(0, 1), false);
  socket.hears("send", rest.store(5, ANN, ME));
  await settled();
  assert.deepEqual(thread(ANN), [1, 2, 5]);
  rest.isAway = false;
  await clock.pass(1_000);
  assert.deepEqual(socket.last.params(), { after_id: 2 });
  socket.joined([], false);
  await settled();
  assert.deepEqual([thread(ANN), socket.last.params()], [[1, 2, 3, 4, 5], { after_id: 5 }]);
});

test("a sent message is in its thread once, whether the answer or the broadcast comes first", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  inbox.send(ANN, "one", null);
  inbox.send(ANN, "two", null);
  const [one, two] = socket.last.pushes;
  one.answer("ok", { id: 2, inserted_at: "" });
  await settled();
  socket.hears("send", rest.store(2, ME, ANN, "one"));
  socket.hears("send", rest.store(3, ME, ANN, "two"));
  assert.deepEqual(inbox.outbox.to(ANN), []);
  two.answer("ok", { id: 3, inserted_at: "" });
  await settled();
  assert.deepEqual([thread(ANN), inbox.outbox.pending, announced], [[1, 2, 3], [], []]);
  assert.deepEqual(texts(), [["Ann", "two", 1]]);
});

test("a read message is reported once, and the unread count falls at once", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  inbox.markRead(ANN);
  inbox.markRead(ANN);
  assert.deepEqual(socket.last.pushes.map(({ payload }) => payload), [{ with: ANN, up_to: 1 }]);
  assert.equal(inbox.unread, 0);
});

test("without a connection nothing counts as read; it is reported after the reconnect", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  socket.breaks(1006);
  inbox.markRead(ANN);
  assert.equal(inbox.unread, 1);
  socket.joined();
  await settled();
  inbox.markRead(ANN);
  assert.deepEqual([socket.last.pushes.length, inbox.unread], [1, 0]);
});

test("what another device of mine has read is read here, and what the other person has read is marked", async () => {
  rest.store(1, ANN, ME);
  rest.store(2, ME, BOB);
  await open();
  await inbox.thread(BOB).loadOlder();
  socket.hears("read", { by: ME, with: ANN, up_to: 1 });
  assert.equal(inbox.unread, 0);
  socket.hears("read", { by: BOB, with: ME, up_to: 2 });
  assert.ok(inbox.thread(BOB).messages[0].read_at);
});

test("the server counts the unread messages when another device has read some of them", async () => {
  rest.store(1, ANN, ME).read_at = "now";
  rest.store(2, ANN, ME);
  await open();
  const before = reads();
  socket.hears("read", { by: ME, with: ANN, up_to: 1 });
  await settled();
  assert.deepEqual([reads() - before, inbox.unread], [1, 1]);
});

test("my typing is reported at intervals, and again after a message", async () => {
  await open();
  const told = () => socket.last.pushes.filter(({ event }) => event === "typing").length;
  inbox.typing(ANN);
  await clock.pass(2_400);
  inbox.typing(ANN);
  assert.equal(told(), 1);
  await clock.pass(100);
  inbox.typing(ANN);
  assert.equal(told(), 2);
  inbox.send(ANN, "x", null);
  inbox.typing(ANN);
  assert.equal(told(), 3);
});

test("closing the inbox erases everything that belongs to its user", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  inbox.send(ANN, "on its way", null);
  socket.hears("typing", { from: ANN, to: ME });
  const left = socket.last;
  inbox.close();
  assert.ok(left.hasLeft);
  left.events.send(rest.store(2, ANN, ME));
  assert.deepEqual([inbox.list, inbox.outbox.pending, inbox.isTyping(ANN), thread(ANN)], [[], [], false, []]);
  rest.messages = [];
  socket = new Socket();
  inbox.open("4");
  await settled();
  socket.joined();
  await settled();
  assert.deepEqual([socket.last.topic, socket.last.pushes, inbox.list], ["private_chat:4", [], []]);
});

test("a dealer with 2,000 conversations reads them once, and after a gap what may have changed alone", async () => {
  const dealt = Array.from({ length: 2_000 }, (_, number) => String(10 + number));
  dealt.forEach((other, number) => (rest.store(number + 1, other, ME).read_at = number < 1_990 ? "then" : null));
  await open();
  assert.deepEqual([inbox.list.length, inbox.unread, reads(), rest.rows], [2_000, 10, 23, 2_011]);
  const messages = [rest.store(2_001, dealt[5], ME, "An offer"), rest.store(2_002, ME, ANN, "A question")];
  for (let gap = 1; gap <= 3; gap += 1) {
    rest.rows = 0;
    const before = reads();
    socket.breaks(1006);
    socket.joined(gap === 1 ? messages : []);
    await settled();
    // Ten unread ones; of the first gap the two with messages as well.
    assert.deepEqual([reads() - before, rest.rows], [1, gap === 1 ? 12 : 11]);
  }
  assert.deepEqual(texts().slice(0, 2), [["Ann", "A question", 0], [undefined, "An offer", 1]]);
  assert.deepEqual([inbox.list.length, inbox.unread], [2_001, 11]);
});

test("what another device read during a gap is not unread any more", async () => {
  const message = rest.store(1, ANN, ME);
  rest.store(2, ME, BOB);
  await open();
  socket.breaks(1006);
  message.read_at = "then";
  socket.joined();
  await settled();
  assert.equal(inbox.unread, 0);
});

test("what cannot be asked for after a gap is asked for again", async () => {
  rest.store(1, ANN, ME);
  await open();
  socket.breaks(1006);
  rest.isAway = true;
  socket.joined([rest.store(2, BOB, ME)]);
  await settled();
  assert.deepEqual(texts(), [["Ann", "number 1", 1]]);
  rest.isAway = false;
  await clock.pass(3_000);
  assert.deepEqual(texts(), [["Bob", "number 2", 1], ["Ann", "number 1", 1]]);
});

test("what is not answered after a gap is asked for again", async (context) => {
  const limits = [];
  context.mock.method(AbortSignal, "timeout", (ms) => {
    const controller = new AbortController();
    limits.push([ms, controller]);
    return controller.signal;
  });
  rest.store(1, ANN, ME);
  await open();
  socket.breaks(1006);
  rest.isSilent = true;
  socket.joined([rest.store(2, BOB, ME)]);
  await settled();
  rest.isSilent = false;
  const [ms, controller] = limits.at(-1);
  assert.equal(ms, 30_000);
  controller.abort(new Error("no answer"));
  await clock.pass(3_000);
  assert.deepEqual(texts(), [["Bob", "number 2", 1], ["Ann", "number 1", 1]]);
});

test("what comes while all conversations are being read is in its conversation", async () => {
  rest.store(1, ANN, ME);
  let answer;
  rest.delay = new Promise((resolve) => (answer = resolve));
  inbox.open(ME);
  answer();
  await settled();
  rest.delay = new Promise((resolve) => (answer = resolve));
  socket.opens();
  socket.joined();
  await settled();
  socket.hears("send", rest.store(2, ANN, ME));
  socket.hears("send", rest.store(3, BOB, ME));
  answer();
  await settled();
  assert.deepEqual(texts(), [["Bob", "number 3", 1], ["Ann", "number 2", 2]]);
});

test("a message that comes after the next one is counted as well", async () => {
  rest.store(1, ANN, ME);
  await open();
  const [second, third] = [rest.store(2, ANN, ME), rest.store(3, ANN, ME)];
  socket.hears("send", third);
  socket.hears("send", second);
  await settled();
  assert.deepEqual(texts(), [["Ann", "number 3", 3]]);
});

test("however many messages come while REST is away, it is asked once in three seconds", async () => {
  await open();
  rest.isAway = true;
  for (let id = 1; id <= 5; id += 1) {
    socket.hears("send", rest.store(id, String(id + 10), ME));
    await settled();
  }
  const before = reads();
  await clock.pass(9_000);
  assert.equal(reads() - before, 3);
});

test("a message about another car makes the conversation be asked for again, and a message about the same does not", async () => {
  rest.store(1, ANN, ME);
  await open();
  inbox.conversations.get(ANN).listing = { id: 5 };
  const before = reads();
  socket.hears("send", { ...rest.store(2, ANN, ME), listing_id: 5 });
  await settled();
  assert.equal(reads(), before);
  socket.hears("send", { ...rest.store(3, ANN, ME), listing_id: 6 });
  await settled();
  assert.equal(reads(), before + 1);
});

test("a message that arrives live is given to the notifications, and one of mine or a missed one is not", async () => {
  const told = [];
  const chat = (userId, options) => new PrivateChat(socket, userId, options);
  const notify = ({ user, message }) => told.push([user.name, message.id]);
  inbox = new Inbox({ connection: { chat }, api: rest, announce: () => {}, notify, pageItems: 100 });
  rest.store(1, ANN, ME);
  await open();
  socket.hears("send", rest.store(2, ANN, ME));
  socket.hears("send", rest.store(3, ME, ANN));
  await settled();
  assert.deepEqual(told, [["Ann", 2]]);
});

test("a message that its sender deletes loses its text in the list and in the conversation", async () => {
  rest.store(1, ANN, ME);
  rest.store(2, ANN, ME, "my card is 4929");
  await open();
  await inbox.thread(ANN).loadOlder();
  assert.equal(inbox.unread, 2);
  Object.assign(rest.messages[1], { message: "", deleted_at: "later", read_at: "later" });
  socket.hears("deleted", { id: 2, from: ANN, to: ME, deleted_at: "later" });
  await settled();
  assert.deepEqual([texts(), inbox.unread], [[["Ann", "", 1]], 1]);
  assert.deepEqual(
    inbox.thread(ANN).messages.map(({ message, deleted_at }) => [message, deleted_at]),
    [["number 1", undefined], ["", "later"]],
  );
});

test("a deletion that arrives before its message keeps the text away, and nothing is announced", async () => {
  rest.store(1, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  socket.hears("deleted", { id: 2, from: ANN, to: ME, deleted_at: "later" });
  socket.hears("send", { ...rest.messages[0], id: 2, message: "my card is 4929" });
  await settled();
  assert.deepEqual([inbox.thread(ANN).messages.at(-1).message, announced], ["", []]);
});

test("catching up drops the texts of what was deleted meanwhile", async () => {
  rest.store(1, ANN, ME);
  rest.store(2, ANN, ME);
  await open();
  await inbox.thread(ANN).loadOlder();
  for (const message of rest.messages) Object.assign(message, { message: "", deleted_at: "later" });
  socket.breaks();
  socket.opens();
  socket.joined([], true, { deleted: [2], more_deleted: true });
  await settled();
  assert.deepEqual([thread(ANN), inbox.thread(ANN).messages.map(({ message }) => message)], [[1, 2], ["", ""]]);
});

test("a message that waits for a moderator says so, is not read, and gives way to itself once it is delivered", async () => {
  rest.store(1, ME, ANN);
  await open();
  await inbox.thread(ANN).loadOlder();
  inbox.send(ANN, "Watches");
  await settled();
  socket.last.pushes.at(-1).answer("ok", { id: 2, inserted_at: "", held: true });
  await settled();
  assert.deepEqual([thread(ANN), inbox.thread(ANN).messages[1].held], [[1, 2], true]);
  // A later message to the same person is not held, and Ann reads up to it.
  socket.hears("send", rest.store(3, ME, ANN));
  socket.hears("read", { by: ANN, with: ME, up_to: 3 });
  assert.deepEqual(inbox.thread(ANN).messages.map(({ read_at: at }) => at !== null), [true, false, true]);
  const delivered = { ...rest.store(4, ME, ANN, "Watches"), was_id: 2 };
  socket.hears("send", delivered);
  socket.hears("send", delivered);
  await settled();
  assert.deepEqual([thread(ANN), inbox.thread(ANN).messages[2].held], [[1, 3, 4], undefined]);
  assert.deepEqual(texts(), [["Ann", "Watches", 0]]);
  // A page of history that was read before the delivery arrives late.
  inbox.thread(ANN).add({ ...delivered, id: 2, held: true, was_id: undefined });
  assert.deepEqual(thread(ANN), [1, 3, 4]);
});

test("who is written only what waits for a moderator is not answered, so what they write first is a request", async () => {
  Object.assign(rest.store(1, ME, BOB, "Watches"), { held: true });
  await open();
  socket.hears("send", { ...rest.store(2, BOB, ME), request: true });
  await settled();
  assert.deepEqual([inbox.conversations.get(BOB).request, announced], ["open", []]);
  socket.hears("send", { ...rest.store(3, ME, BOB, "Watches"), was_id: 1 });
  await settled();
  assert.equal(inbox.conversations.get(BOB).request, null);
});
