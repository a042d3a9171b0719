// Tests how messages are sent and repeated, with a channel that answers when a test says so.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Outgoing } from "../../clients/javascript/private_chat/outgoing.js";
import { SendRefused } from "../../clients/javascript/private_chat/send_refused.js";
import { Clock, settled } from "./clock.mjs";
import { Socket } from "./socket.mjs";

const RETRY_MS = 1_000;

let clock, channel, outgoing, outcomes, isAlive, rejoins, pauses;

/** Send a message whose client_ref is its text; its result goes into `outcomes`. */
function send(message, owner = null) {
  outgoing.send({ to: "8", message, client_ref: message }, owner).then(
    ({ id }) => outcomes.push([message, id]),
    (refused) => outcomes.push([message, refused instanceof SendRefused ? refused.reason : refused]),
  );
}

function broke(how) {
  outgoing.lost();
  return outgoing.broke(how);
}

const under = (text) => channel.pushes.findLast(({ payload }) => payload.message === text);

beforeEach(() => {
  clock = Clock.install();
  channel = new Socket().channel("private_chat:7", {});
  [outcomes, isAlive, rejoins, pauses] = [[], true, 0, []];
  outgoing = new Outgoing({
    retryMs: RETRY_MS,
    isAlive: async () => isAlive,
    rejoin: (ms) => {
      rejoins += 1;
      pauses.push(ms);
      outgoing.lost();
    },
    changed: () => {},
  });
});

test("messages sent without a channel are sent in order when there is one, and each gets its answer", async () => {
  for (const text of ["a", "b", "c"]) send(text);
  assert.deepEqual([channel.texts, outgoing.isUnderWay("a")], [[], false]);
  outgoing.joined(channel);
  assert.deepEqual([channel.texts, outgoing.isUnderWay("a")], [["a", "b", "c"], true]);
  under("a").answer("ok", { id: 1 });
  under("c").answer("error", { reason: "blocked" });
  under("b").answer("ok", { id: 2 });
  under("b").answer("ok", { id: 3 });
  await settled();
  assert.deepEqual(outcomes, [["a", 1], ["c", "blocked"], ["b", 2]]);
  assert.deepEqual(outgoing.payloads(), []);
});

test("a refusal has what the server says of it", async () => {
  const refusal = (answer) => {
    const sent = outgoing.send({ to: "8", message: "a", client_ref: "a" }, null);
    outgoing.joined(channel);
    under("a").answer("error", answer);
    return sent.catch(({ reason, errors, again_at }) => [reason, errors, again_at]);
  };
  const again_at = "2026-11-28T10:00:00.000000Z";
  assert.deepEqual(await refusal({ reason: "too many new people", again_at }), ["too many new people", {}, again_at]);
  const errors = { to: ["Not an id."] };
  assert.deepEqual(await refusal({ reason: "invalid message", errors, again_at: 7 }), ["invalid message", errors, null]);
  assert.deepEqual(await refusal({ reason: "blocked" }), ["blocked", {}, null]);
});

test("an unanswered message is sent again after the channel was lost, with the same client_ref", () => {
  outgoing.joined(channel);
  send("a");
  outgoing.lost();
  assert.equal(outgoing.isUnderWay("a"), false);
  outgoing.joined(channel);
  assert.deepEqual(channel.pushes.map(({ payload }) => payload.client_ref), ["a", "a"]);
});

test("two sends with one client_ref are one message", async () => {
  outgoing.joined(channel);
  send("a");
  send("a");
  assert.deepEqual(channel.texts, ["a"]);
  under("a").answer("ok", { id: 1 });
  await settled();
  assert.deepEqual(outcomes, [["a", 1], ["a", 1]]);
});

for (const reason of ["too many requests", "try again"]) {
  test(`a message refused for now (${reason}) is sent again after a while`, async () => {
    outgoing.joined(channel);
    send("a");
    under("a").answer("error", { reason });
    await clock.pass(RETRY_MS - 1);
    assert.deepEqual([channel.texts, outgoing.isUnderWay("a")], [["a"], false]);
    await clock.pass(1);
    assert.deepEqual(channel.texts, ["a", "a"]);
  });
}

test("twenty messages are unanswered at a time, and fewer after the server had too many", async () => {
  outgoing.joined(channel);
  for (let number = 0; number < 120; number += 1) send(`${number}`);
  assert.equal(channel.texts.length, 20);
  for (const push of [...channel.pushes]) push.answer("error", { reason: "too many requests" });
  await clock.pass(RETRY_MS);
  assert.equal(channel.texts.length, 21);
  // Now only one message is sent at a time, until one succeeds.
  under("0").answer("ok", { id: 1 });
  assert.equal(channel.texts.length, 22);
});

test("a message that breaks the connection three times fails, and the next ones are sent", async () => {
  send("poison");
  send("behind");
  for (let times = 0; times < 3; times += 1) {
    outgoing.joined(channel);
    await clock.pass(RETRY_MS);
    assert.equal(broke({ mayBeOurs: true }), true);
  }
  await settled();
  // First both, then only the message that may be the cause.
  assert.deepEqual([outcomes, channel.texts], [[["poison", "could not be sent"]], ["poison", "behind", "poison", "poison"]]);
  outgoing.joined(channel);
  await clock.pass(RETRY_MS);
  under("behind").answer("ok", { id: 6 });
  await settled();
  assert.deepEqual(outcomes.at(-1), ["behind", 6]);
});

test("outages do not count as tries of a message while none is sent alone", async () => {
  outgoing.joined(channel);
  send("a");
  assert.equal(broke({ mayBeOurs: false }), false);
  outgoing.joined(channel);
  for (let times = 0; times < 10; times += 1) broke({ mayBeOurs: false });
  outgoing.joined(channel);
  under("a").answer("ok", { id: 1 });
  await settled();
  assert.deepEqual(outcomes, [["a", 1]]);
});

test("a message fails if the server goes away three times while it is sent alone", async () => {
  send("poison");
  send("behind");
  for (let times = 0; times < 4; times += 1) {
    outgoing.joined(channel);
    await clock.pass(RETRY_MS);
    assert.deepEqual(outcomes, []);
    broke({ mayBeOurs: false });
  }
  outgoing.joined(channel);
  await clock.pass(RETRY_MS);
  under("behind").answer("ok", { id: 6 });
  await settled();
  // First both, then one at a time.
  assert.deepEqual(channel.texts, ["poison", "behind", "poison", "poison", "poison", "behind"]);
  assert.deepEqual(outcomes, [["poison", "could not be sent"], ["behind", 6]]);
});

/** For `ms`, answer each push in order with `answers(text)`, and let the time pass. */
async function play(answers, ms) {
  const answered = new Set();
  for (let passed = 0; passed <= ms; passed += 100) {
    for (const push of channel.pushes) {
      if (answered.has(push)) continue;
      answered.add(push);
      push.answer(...answers(push.payload.message));
    }
    await clock.pass(100);
  }
}
const tries = (text) => channel.texts.filter((one) => one === text).length;

for (const reason of ["try again", "too many requests"]) {
  test(`a message that is always answered "${reason}" while others succeed fails after three tries`, async () => {
    outgoing.joined(channel);
    for (const text of ["a", "poison", "b", "c"]) send(text);
    const answers = (text) => (text === "poison" ? ["error", { reason }] : ["ok", { id: 1 }]);
    await play(answers, 500);
    assert.deepEqual(outcomes.map(([text]) => text), ["a", "b", "c"]);
    for (let number = 0; number < 12; number += 1) {
      send(`later ${number}`);
      await play(answers, 1_000);
    }
    assert.deepEqual(outcomes.filter(([text]) => text.startsWith("later")).length, 12);
    assert.deepEqual([outcomes.find(([text]) => text === "poison"), tries("poison")], [["poison", "could not be sent"], 3]);
  });

  test(`several messages that are always answered "${reason}" do not stop the others`, async () => {
    outgoing.joined(channel);
    for (const text of ["poison 1", "poison 2", "a"]) send(text);
    const answers = (text) => (text.startsWith("poison") ? ["error", { reason }] : ["ok", { id: 1 }]);
    for (let number = 0; number < 40; number += 1) {
      send(`later ${number}`);
      await play(answers, 1_000);
    }
    assert.equal(outcomes.length, 43);
    for (const text of ["poison 1", "poison 2"]) {
      assert.deepEqual(outcomes.find(([one]) => one === text), [text, "could not be sent"]);
      assert.ok(tries(text) <= 4, `${tries(text)} tries`);
    }
  });

  test(`no message fails while the server answers "${reason}" to all, and all are sent in order`, async () => {
    outgoing.joined(channel);
    const texts = Array.from({ length: 9 }, (_, number) => `${number}`);
    for (const text of texts) send(text);
    await play(() => ["error", { reason }], 60_000);
    assert.deepEqual(outcomes, []);
    await play(() => ["ok", { id: 1 }], 10_000);
    assert.deepEqual(outcomes.map(([text]) => text), texts);
  });
}

test("no message fails when the budget is used up again and again, and the order is kept", async () => {
  outgoing.joined(channel);
  const texts = Array.from({ length: 150 }, (_, number) => `${number}`);
  for (const text of texts) send(text);
  let [left, filledAt] = [40, Date.now()];
  const take = () => {
    left = Math.min(40, left + (Date.now() - filledAt) / 200);
    filledAt = Date.now();
    if (left < 1) return ["error", { reason: "too many requests" }];
    left -= 1;
    return ["ok", { id: 1 }];
  };
  await play(take, 120_000);
  assert.deepEqual(outcomes, texts.map((text) => [text, 1]));
});

for (const answer of [null, [], {}, { id: null }, { id: "5" }, "text"]) {
  test(`a message whose ok has no id is sent again, and fails after three tries: ${JSON.stringify(answer)}`, async () => {
    outgoing.joined(channel);
    send("a");
    await play(() => ["ok", answer], 5_000);
    assert.deepEqual([outcomes, tries("a")], [[["a", "could not be sent"]], 3]);
  });
}

test("no message fails for a connection that broke while none was unanswered", async () => {
  outgoing.joined(channel);
  assert.equal(broke({ mayBeOurs: true, wasShort: true }), false);
  send("a");
  for (let times = 0; times < 10; times += 1) {
    outgoing.joined(channel);
    broke({ mayBeOurs: true, wasShort: true });
  }
  outgoing.joined(channel);
  under("a").answer("ok", { id: 1 });
  await settled();
  assert.deepEqual(outcomes, [["a", 1]]);
});

test("an unanswered message is sent again at once on a line that also broke without a message", () => {
  outgoing.joined(channel);
  broke({ mayBeOurs: true, wasShort: true });
  send("a");
  outgoing.joined(channel);
  broke({ mayBeOurs: true, wasShort: true });
  outgoing.joined(channel);
  assert.deepEqual(channel.texts, ["a", "a"]);
});

test("a message that gets no answer is sent three times, each time after joining again", async () => {
  outgoing.joined(channel);
  send("ignored");
  send("a");
  for (let times = 1; times <= 3; times += 1) {
    under("ignored").answer("timeout");
    await settled();
    assert.equal(rejoins, times);
    outgoing.lost();
    outgoing.joined(channel);
    await clock.pass(RETRY_MS);
  }
  assert.deepEqual(outcomes, [["ignored", "could not be sent"]]);
  under("a").answer("ok", { id: 1 });
  await settled();
  assert.deepEqual(outcomes.at(-1), ["a", 1]);
});

test("a missing answer does not count as a try if the server answers nothing at all", async () => {
  isAlive = false;
  outgoing.joined(channel);
  send("a");
  for (let times = 0; times < 5; times += 1) {
    under("a").answer("timeout");
    await clock.pass(RETRY_MS);
  }
  assert.deepEqual([outcomes, rejoins, channel.texts.length], [[], 0, 6]);
});

test("the client joins again when the server does not know the channel, and the message waits", async () => {
  outgoing.joined(channel);
  send("a");
  under("a").answer("error", { reason: "unmatched topic" });
  assert.deepEqual(pauses, [0]);
  outgoing.joined(channel);
  await clock.pass(RETRY_MS);
  assert.deepEqual(channel.texts, ["a", "a"]);
});

test("a message after which the server forgets the channel fails after three joins with longer waits", async () => {
  outgoing.joined(channel);
  send("a");
  for (let times = 0; times < 3; times += 1) {
    under("a").answer("error", { reason: "unmatched topic" });
    outgoing.joined(channel);
    await clock.pass(RETRY_MS);
  }
  assert.deepEqual([outcomes, pauses], [[["a", "could not be sent"]], [0, RETRY_MS, 2 * RETRY_MS]]);
});

test("a late answer of an earlier connection settles its message only if it is ok", async () => {
  outgoing.joined(channel);
  send("a");
  const first = under("a");
  outgoing.lost();
  outgoing.joined(channel);
  first.answer("timeout");
  first.answer("error", { reason: "try again" });
  await clock.pass(RETRY_MS);
  assert.deepEqual([channel.texts, outgoing.isUnderWay("a")], [["a", "a"], true]);
  first.answer("ok", { id: 1 });
  await settled();
  assert.deepEqual([outcomes, outgoing.isUnderWay("a")], [[["a", 1]], false]);
});

test("a message is withdrawn when the last owner who sent it leaves", () => {
  const [one, other] = [{}, {}];
  send("of one", one);
  send("of both", one);
  send("of both", other);
  assert.deepEqual(outgoing.payloads(one).map(({ message }) => message), ["of one", "of both"]);
  outgoing.withdraw(one);
  outgoing.joined(channel);
  assert.deepEqual(channel.texts, ["of both"]);
});
