// Tests that the page writes money and distances in the units of the site, as the reader's language does.

import assert from "node:assert/strict";
import { test } from "node:test";

const limits = { forms: {}, currency: "EUR", distance_unit: "km", distances: [5] };
globalThis.document = { querySelector: () => ({ content: JSON.stringify(limits) }) };
Object.defineProperty(globalThis, "navigator", { value: { languages: ["de-DE", "en"] }, configurable: true });
const { away, currency, distanceUnit, mileage, price } = await import("../../../api/web/format.js");

test("a German reads euros and kilometres as Germans write them", () => {
  assert.equal(price(12500), "12.500\u00a0€");
  assert.equal(price(null), "Ask for the price");
  assert.equal(mileage(82000), "82.000 km");
  assert.equal(away(12_400), "12 km away");
  assert.deepEqual([currency, distanceUnit], ["€", "km"]);
});
