// node same_programs.mjs FILE: the file has [[name, source, short], ...] in JSON. Fails unless acorn reads the same
// program in both texts of each: the positions, the spelling of whitespace and the indents in markup are all that may
// differ.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "../../end_to_end/js/node_modules/acorn/dist/acorn.mjs";

const withoutIndents = ({ value, ...more }) => ({ ...more, value: JSON.stringify(value).replace(/\\n[ \t]+/g, "\\n") });

const program = (source) =>
  JSON.stringify(parse(source, { ecmaVersion: "latest", sourceType: "module" }), (key, value) => {
    if (key === "start" || key === "end") return undefined;
    const isMarkup = value?.type === "TaggedTemplateExpression" && ["html", "svg"].includes(value.tag.name);
    return isMarkup ? { ...value, quasi: { ...value.quasi, quasis: value.quasi.quasis.map(withoutIndents) } } : value;
  });

for (const [name, source, short] of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  assert.ok(program(short) === program(source), name);
}
