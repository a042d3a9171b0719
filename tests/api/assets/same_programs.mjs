// node same_programs.mjs FILE: the file has [[name, source, short], ...] in JSON. Fails unless acorn reads the same
// program in both texts of each: the positions and the spelling of whitespace are all that may differ.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "../../end_to_end/js/node_modules/acorn/dist/acorn.mjs";

const program = (source) =>
  JSON.stringify(parse(source, { ecmaVersion: "latest", sourceType: "module" }), (key, value) =>
    key === "start" || key === "end" ? undefined : value
  );

for (const [name, source, short] of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  assert.ok(program(short) === program(source), name);
}
