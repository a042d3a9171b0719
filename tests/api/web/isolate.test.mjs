// People's text is isolated in plain text where it could turn the words around it round.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isolated } from "../../../api/web/isolate.js";

test("a text that could turn others round is isolated, and nothing in it ends that", () => {
  const known = JSON.parse(readFileSync(new URL("../isolates.json", import.meta.url), "utf8"));
  for (const [text, wanted] of known) assert.equal(isolated(text), wanted, text);
});
