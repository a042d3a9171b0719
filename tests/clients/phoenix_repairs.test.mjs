// Tests the repairs of phoenix.js: poll answers of other servers, the order of sends, and a function as token.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock } from "./clock.mjs";
import { sendInOrder, surviveForeignAnswers, understandTokenFunction } from "../../clients/javascript/private_chat/phoenix_repairs.js";

/** What a repaired transport passes on of an answer to a request with this method. */
function made(method, answer) {
  class LongPoll {
    ajax(_method, _headers, _body, _timeout, _onTimeout, callback) {
      callback(answer);
    }
  }
  surviveForeignAnswers(LongPoll);
  surviveForeignAnswers(LongPoll);
  let found;
  new LongPoll().ajax(method, {}, null, 0, null, (one) => (found = one));
  return found;
}

for (const answer of [
  { status: 200, token: "t", messages: ['[null,"1","phoenix","phx_reply",{}]'] },
  { status: 410, token: "t", messages: [] },
  { status: 403 },
  { status: 500 },
]) {
  test(`an answer of the gateway is passed on: ${answer.status}`, () => assert.equal(made("GET", answer), answer));
}

for (const answer of [
  { status: 503, message: "unavailable" }, { message: "timed out" }, "unavailable", null, 7, { status: 200 }, { status: 204 },
  { status: 410 }, { status: 200, token: "t" }, { status: 404, token: "t" },
]) {
  test(`an answer of another server is dropped: ${JSON.stringify(answer)}`, () => assert.equal(made("GET", answer), null));
}

/** The number of polls in ten seconds if every poll gets this answer. As in phoenix.js, each answer leads to a poll. */
async function polls(answer) {
  const clock = Clock.install();
  let count = 0;
  class LongPoll {
    token = "t";
    isActive() {
      return true;
    }
    ajax(_method, _headers, _body, _timeout, _onTimeout, callback) {
      count += 1;
      setTimeout(() => callback(structuredClone(answer)), 30);
    }
    poll() {
      this.ajax("GET", {}, null, 0, null, (found) => found && this.poll());
    }
  }
  surviveForeignAnswers(LongPoll);
  new LongPoll().poll();
  await clock.pass(10_000);
  return count;
}

for (const answer of [
  { status: 204, token: "t", messages: [] },
  { status: 204, token: "t" },
  { status: 410, token: "t", messages: [] },
  { status: 200, token: "t", messages: [] },
  { status: 200, token: "t", messages: ["<html>", null, 7, "null"] },
]) {
  test(`an immediate answer without a message is delayed: ${JSON.stringify(answer)}`, async () => {
    const count = await polls(answer);
    assert.ok(count > 3 && count <= 10, `${count} polls in 10 s`);
  });
}

test("an answer with messages is passed on at once, without unreadable messages", async () => {
  const frame = '[null,null,"private_chat:7","send",{"id":5}]';
  assert.ok((await polls({ status: 200, token: "t", messages: [frame] })) > 100);
  assert.deepEqual(made("GET", { status: 200, token: "t", messages: ["<html>", frame] }).messages, [frame]);
});

test("only answers to polls are checked", () => {
  const answer = { status: 503 };
  assert.equal(made("POST", answer), answer);
});

/** A repaired transport of phoenix.js 1.6, in which each send is a request. `ends` has the results of the sends. */
function manySenders() {
  const requests = [];
  class LongPoll {
    ajax(method, body, onTimeout, onAnswer) {
      requests.push({ method, body, onTimeout, onAnswer });
    }
    send(body) {
      this.ajax("POST", body, () => ends.push(`${body} timed out`), (answer) => ends.push(`${body} ${answer?.status}`));
    }
  }
  const ends = [];
  sendInOrder(LongPoll);
  sendInOrder(LongPoll);
  return { LongPoll, requests, ends };
}

test("a send waits until the previous one was answered", () => {
  const { LongPoll, requests, ends } = manySenders();
  const transport = new LongPoll();
  for (const body of ["a", "b", "c"]) transport.send(body);
  assert.deepEqual(requests.map(({ body }) => body), ["a"]);
  requests[0].onAnswer({ status: 200 });
  assert.deepEqual(requests.map(({ body }) => body), ["a", "b"]);
  requests[1].onTimeout();
  assert.deepEqual(requests.map(({ body }) => body), ["a", "b", "c"]);
  requests[2].onAnswer({ status: 200 });
  transport.send("d");
  assert.deepEqual(requests.map(({ body }) => body), ["a", "b", "c", "d"]);
  assert.deepEqual(ends, ["a 200", "b timed out", "c 200"]);
});

test("after a failed send its transport sends nothing more, and another transport does", () => {
  const { LongPoll, requests, ends } = manySenders();
  const [transport, other] = [new LongPoll(), new LongPoll()];
  for (const body of ["a", "b"]) transport.send(body);
  requests[0].onAnswer(null);
  transport.send("c");
  other.send("d");
  assert.deepEqual(requests.map(({ body }) => body), ["a", "d"]);
  assert.deepEqual(ends, ["a undefined"]);
});

test("a poll does not wait for a send", () => {
  const { LongPoll, requests } = manySenders();
  const transport = new LongPoll();
  transport.send("a");
  transport.ajax("GET", null, () => {}, () => {});
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "GET"]);
});

test("a token function can be used as a text, and gives the newest token each time", () => {
  let token = "first";
  const socket = { authToken: () => token };
  understandTokenFunction(socket);
  assert.deepEqual([`${socket.authToken}`, socket.authToken()], ["first", "first"]);
  token = "second";
  assert.deepEqual([`${socket.authToken}`, socket.authToken()], ["second", "second"]);
  const plain = { authToken: "text" };
  understandTokenFunction(plain);
  assert.equal(plain.authToken, "text");
});
