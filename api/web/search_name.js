// What a search asks, in words: part by part for the page, and all together as the name of a saved search.

import { FACTS, wordsFor } from "./facts.js";
import { isolated } from "./isolate.js";
import { count, cubicCentimetres, kilowatts, mileage, price } from "./format.js";

/**
 * Returns the parts as {names, words}: `names` are the parameters that a part consists of. `categories` are those of the
 * API. The seller and the order are no parts. api/pages/parts.py has the same words.
 */
export function partsOf(query, categories) {
  const category = categories.find((one) => String(one.id) === query.category_id)?.name;
  const parts = [
    [["q", "verbatim"], query.q],
    [["make"], query.make],
    [["model"], query.model],
    [["category_id"], category],
    [["year_min", "year_max"], range(query.year_min, query.year_max, String)],
    [["price_min", "price_max"], range(query.price_min, query.price_max, price)],
    [["mileage_max"], query.mileage_max && `up to ${shown(query.mileage_max, mileage)}`],
    ...FACTS.filter(({ isChoice, name }) => isChoice && query[name]).map(({ name }) => [
      [name],
      query[name].split(",").map((value) => wordsFor(name, value)).join(" or "),
    ]),
    [["doors"], query.doors && `${query.doors.replaceAll(",", " or ")} doors`],
    [["power_kw_min", "power_kw_max"], range(query.power_kw_min, query.power_kw_max, kilowatts)],
    [["engine_cc_min", "engine_cc_max"], range(query.engine_cc_min, query.engine_cc_max, cubicCentimetres)],
    [["owners_max"], query.owners_max && `at most ${shown(query.owners_max, (value) => count(value, "owner", "owners"))}`],
    [["vin"], query.vin && `VIN ${query.vin}`],
    [["near", "within"], query.near && (query.within ? `within ${query.within} of ${isolated(query.near)}` : `near ${isolated(query.near)}`)],
    [["status"], { sold: "sold", any: "sold ones too" }[query.status]],
  ];
  return parts.filter(([, words]) => words).map(([names, words]) => ({ names, words }));
}

/** The name has at most `longest` characters. */
export function searchName(query, categories, longest) {
  const name = partsOf(query, categories).map(({ words }) => words).join(", ") || "All cars";
  const characters = [...name];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : name;
}

function range(least, most, as) {
  if (least && most) return `${shown(least, as)} to ${shown(most, as)}`;
  return least ? `from ${shown(least, as)}` : most && `up to ${shown(most, as)}`;
}

/** Anybody can write an address, so what should be a number may be any text. */
const shown = (value, as) => (/^\d{1,15}$/.test(value) ? as(Number(value)) : isolated(value));
