// Tests that the page takes from the browser only what is a language.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readersLanguages } from "../../../api/web/languages.js";

const TOLD = [
  [["de-DE", "en"], ["de-DE", "en"]],
  [["c", "fr"], ["fr"]],
  [["C.UTF-8"], ["en-US"]],
  [["", "en_US"], ["en-US"]],
  [[], ["en-US"]],
  [undefined, ["en-US"]],
];

for (const [languages, wanted] of TOLD) {
  test(`a browser that names ${JSON.stringify(languages)} is written to in ${wanted}`, () => {
    Object.defineProperty(globalThis, "navigator", { value: { languages }, configurable: true });
    assert.deepEqual(readersLanguages(), wanted);
  });
}
