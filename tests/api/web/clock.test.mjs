// Times are told by the server's clock.

import assert from "node:assert/strict";
import { test } from "node:test";
import { learn, now } from "../../../api/web/clock.js";
import { since } from "../../../api/web/format.js";

const HOUR = 3_600_000;
const answered = (ms) => ({ headers: new Headers({ Date: new Date(ms).toUTCString() }) });
const isAbout = (ms) => Math.abs(now() - ms) < 2_000;

test("a clock that is hours off is put right by any answer", () => {
  const created = new Date(Date.now() - 2 * HOUR - 630_000).toISOString();
  assert.equal(since(created), "2 hours ago");
  learn(answered(Date.now() - 2 * HOUR), Date.now());
  assert.ok(isAbout(Date.now() - 2 * HOUR));
  assert.equal(since(created), "10 minutes ago");
  learn(answered(Date.now() + 48 * HOUR), Date.now());
  assert.ok(isAbout(Date.now() + 48 * HOUR));
  learn(answered(Date.now()), Date.now());
  assert.equal(Math.abs(now() - Date.now()) < 5, true);
});

test("an answer without a readable date changes nothing", () => {
  learn(answered(Date.now() + HOUR), Date.now());
  learn({ headers: new Headers() }, Date.now());
  learn({ headers: new Headers({ Date: "yesterday" }) }, Date.now());
  assert.ok(isAbout(Date.now() + HOUR));
  assert.equal(since(new Date(Date.now() + 5 * HOUR).toISOString()), "just now");
});
