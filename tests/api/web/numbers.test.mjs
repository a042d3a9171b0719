// Numbers are read as people write them, and what the page itself writes is read back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readNumber } from "../../../api/web/numbers.js";

const { read, with_unit: withUnit, no_numbers: noNumbers } = JSON.parse(
  readFileSync(new URL("../numbers.json", import.meta.url), "utf8"),
);

test("a number is read as people write it", () => {
  for (const [text, locale, number] of read) {
    assert.equal(readNumber(text, { locale }), number, `${text} in ${locale}`);
  }
});

test("the unit of the field may stand behind the number, and no other", () => {
  for (const [text, unit, number] of withUnit) assert.equal(readNumber(text, { unit }), number, `${text} as ${unit}`);
});

test("what is no number is not read as one", () => {
  for (const text of noNumbers) assert.equal(readNumber(text), null, text);
});

test("what a browser writes in any locale is read back", () => {
  const locales = ["en-US", "en-IN", "de-DE", "de-CH", "fr-FR", "fr-CH", "es-ES", "pl-PL", "pt-PT", "sv-SE", "ar-EG", "fa-IR"];
  for (const locale of [...locales, "hi-IN", "bn-BD", "my-MM", "ja-JP", "th-TH-u-nu-thai", "he-IL", "uk-UA", "et-EE"]) {
    const formats = [{}, { style: "currency", currency: "EUR" }, { style: "currency", currency: "USD", maximumFractionDigits: 0 }];
    for (const format of formats) {
      for (const number of [0, 7, 950, 1234, 12500, 250000, 9876543]) {
        const text = new Intl.NumberFormat(locale, format).format(number);
        assert.equal(readNumber(text, { locale }), number, `${text} in ${locale}`);
      }
    }
  }
});
