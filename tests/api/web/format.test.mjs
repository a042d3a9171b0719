// Tests how the page writes times.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dayOf } from "../../../api/web/format.js";

const daysAgo = (days) => {
  const time = new Date();
  time.setDate(time.getDate() - days);
  return time.toISOString();
};

test("the days of a conversation are today, yesterday, and dates", () => {
  assert.deepEqual([dayOf(daysAgo(0)), dayOf(daysAgo(1))], ["Today", "Yesterday"]);
  assert.match(dayOf(daysAgo(2)), /^[A-Z][a-z]{2} \d{1,2}, \d{4}$/);
  assert.equal(dayOf("2015-03-01T12:00:00.000000Z"), "Mar 1, 2015");
});
