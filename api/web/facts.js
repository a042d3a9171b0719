// The facts about a car. The form for selling a car, the page of a listing and the filters are made from them.

import { cubicCentimetres, currency, distanceUnit, kilowatts, mileage } from "./format.js";

/**
 * `label` and `unit` are shown with the input. `show` formats a value for the page; null hides it there. The values of
 * a fact that `isChoice` are a closed list, which the server puts into the document; `words` names those of them that
 * are not simply words.
 */
export const FACTS = [
  { name: "make", label: "Make" },
  { name: "model", label: "Model" },
  { name: "year", label: "Year", isNumber: true },
  { name: "mileage", label: "Mileage", unit: distanceUnit, isNumber: true, show: mileage },
  { name: "price", label: "Price", unit: currency, isNumber: true, show: null },
  { name: "location", label: "Location" },
  { name: "fuel", label: "Fuel", isChoice: true, words: { lpg: "LPG", cng: "CNG", plug_in_hybrid: "Plug-in hybrid" } },
  { name: "transmission", label: "Transmission", isChoice: true, words: { cvt: "CVT", semi_automatic: "Semi-automatic" } },
  { name: "body", label: "Body", isChoice: true, words: { suv: "SUV" } },
  {
    name: "drive",
    label: "Drive",
    isChoice: true,
    words: { front: "Front wheels", rear: "Rear wheels", all: "All wheels", four: "Four wheels, switchable" },
  },
  { name: "colour", label: "Colour", isChoice: true },
  { name: "doors", label: "Doors", isNumber: true },
  { name: "power_kw", label: "Power", unit: "kW", isNumber: true, show: kilowatts },
  { name: "engine_cc", label: "Engine size", unit: "cc", isNumber: true, show: cubicCentimetres },
  { name: "owners", label: "Owners so far", isNumber: true },
  { name: "condition", label: "Condition", isChoice: true },
  {
    name: "title_status",
    label: "Papers",
    isChoice: true,
    words: { clean: "Clean title", lien: "Lien: a lender has a claim", missing: "Title is missing" },
  },
  { name: "vin", label: "VIN" },
];

const BY_NAME = new Map(FACTS.map((fact) => [fact.name, fact]));

/** Returns the words for a value of a closed list: "like_new" becomes "Like new". */
export function wordsFor(name, value) {
  const words = BY_NAME.get(name)?.words?.[value];
  if (words) return words;
  const plain = String(value).replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** Returns how the page shows the value of a fact. */
export function shownAs({ name, isChoice, show }, value) {
  if (isChoice) return wordsFor(name, value);
  return show ? show(value) : String(value);
}
