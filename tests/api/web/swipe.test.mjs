// Tests what counts as a swipe.

import assert from "node:assert/strict";
import { test } from "node:test";
import { directionOf } from "../../../api/web/ui/swipe.js";

test("a finger that moves across turns over, one that moves down or a little does not", () => {
  const from = { x: 200, y: 200 };
  for (const [x, y, direction] of [[120, 210, 1], [280, 190, -1], [165, 200, 0], [100, 300, 0], [200, 20, 0], [200, 200, 0]]) {
    assert.equal(directionOf(from, { x, y }), direction, `to ${x}, ${y}`);
  }
});
