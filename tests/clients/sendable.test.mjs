// Tests that a message is checked before it is sent: a wrong one is refused, and half an emoji is replaced.

import assert from "node:assert/strict";
import { test } from "node:test";
import { newRef, sendable } from "../../clients/javascript/private_chat/index.js";

const CAR = "🚗";

for (const [what, message, field] of [
  ["text", "text", "payload"],
  ["nothing", undefined, "payload"],
  ["no text", { to: 8 }, "message"],
  ["a number as text", { to: 8, message: 5 }, "message"],
  ["an array as text", { to: 8, message: ["x"] }, "message"],
  ["text that is too long", { to: 8, message: "x".repeat(4_001) }, "message"],
  ["too many code points", { to: 8, message: CAR.repeat(4_001) }, "message"],
  ["no recipient", { message: "x" }, "to"],
  ["a wrong listing", { to: 8, message: "x", listing_id: "5 " }, "listing_id"],
  ["an empty client_ref", { to: 8, message: "x", client_ref: "" }, "client_ref"],
  ["a long client_ref", { to: 8, message: "x", client_ref: "x".repeat(201) }, "client_ref"],
  ["half an emoji as client_ref", { to: 8, message: "x", client_ref: "\ud83d" }, "client_ref"],
  ["a number as client_ref", { to: 8, message: "x", client_ref: 7 }, "client_ref"],
]) {
  test(`${what} is refused with the name of the wrong field`, () => {
    assert.throws(
      () => sendable(message),
      ({ name, reason, errors }) => {
        assert.deepEqual([name, reason, Object.keys(errors)], ["SendRefused", "invalid message", [field]]);
        return true;
      },
    );
  });
}

for (const to of ["\ud83d", -1, 0, NaN, 1.5, Infinity, "08", " 8", {}, true, 2 ** 60, 10n ** 30n]) {
  test(`a wrong recipient is refused: ${String(to)} (${typeof to})`, () => {
    assert.throws(() => sendable({ to, message: "x" }), { reason: "user not found" });
  });
}

test("half an emoji is replaced, a whole one is kept, and other keys are dropped", () => {
  const payload = sendable({ to: 8n, message: `\ude97 ${CAR}\ud83d`, listing_id: 5, client_ref: "mine", more: 1 });
  assert.deepEqual(payload, { to: "8", message: `\ufffd ${CAR}\ufffd`, listing_id: "5", client_ref: "mine" });
  assert.equal(sendable({ to: 8, message: CAR.repeat(4_000) }).message, CAR.repeat(4_000));
});

test("a checked message is not changed by a second check", () => {
  const payload = sendable({ to: 8, message: `nice ${CAR}`.slice(0, -1), listing_id: null });
  assert.deepEqual(sendable(payload), payload);
  assert.ok(!("listing_id" in payload));
});

test("each message has its own client_ref", () => {
  const refs = Array.from({ length: 1_000 }, () => sendable({ to: 8, message: "same" }).client_ref);
  assert.equal(new Set([...refs, newRef()]).size, 1_001);
  for (const ref of refs) assert.ok(ref.length > 10 && ref.length <= 200, ref);
});
