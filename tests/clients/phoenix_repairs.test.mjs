// What is mended of phoenix.js: poll answers of somebody else, and a function where older versions want a text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { surviveForeignAnswers, understandTokenFunction } from "../../clients/javascript/private_chat/phoenix_repairs.js";

/** What a mended transport makes of an answer to such a request. */
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
  { status: 200, token: "t", messages: [] },
  { status: 204, token: "t", messages: [] },
  { status: 410, token: "t", messages: [] },
  { status: 403 },
  { status: 500 },
]) {
  test(`an answer of the server is believed: ${answer.status}`, () => assert.equal(made("GET", answer), answer));
}

for (const answer of [
  { status: 503, message: "unavailable" }, { message: "timed out" }, "unavailable", null, 7, { status: 200 }, { status: 204 },
  { status: 410 }, { status: 200, token: "t" }, { status: 404, token: "t" },
]) {
  test(`an answer of somebody else is none: ${JSON.stringify(answer)}`, () => assert.equal(made("GET", answer), null));
}

test("only polls are looked at", () => {
  const answer = { status: 503 };
  assert.equal(made("POST", answer), answer);
});

test("a function that gives the token is a text where a text is wanted, the newest each time", () => {
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
