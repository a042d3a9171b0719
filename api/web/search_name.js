// A name for a saved search, made of what it asks.

import { FACTS, wordsFor } from "./facts.js";
import { count, kilowatts, miles, price } from "./format.js";

/** `categories` are those of the API; the name has at most `longest` characters. */
export function searchName(query, categories, longest) {
  const category = categories.find((one) => String(one.id) === query.category_id)?.name;
  const words = [
    query.q,
    [query.make, query.model].filter(Boolean).join(" "),
    category,
    range(query.year_min, query.year_max, String),
    range(query.price_min, query.price_max, price),
    query.mileage_max && `up to ${miles(query.mileage_max)}`,
    ...FACTS.filter(({ isChoice, name }) => isChoice && query[name]).map(({ name }) =>
      query[name].split(",").map((value) => wordsFor(name, value)).join(" or "),
    ),
    query.doors && `${query.doors.replaceAll(",", " or ")} doors`,
    range(query.power_kw_min, query.power_kw_max, kilowatts),
    query.owners_max && `at most ${count(Number(query.owners_max), "owner", "owners")}`,
    query.near && (query.within ? `within ${query.within} of ${query.near}` : `near ${query.near}`),
    query.status === "sold" && "sold",
  ];
  const name = words.filter(Boolean).join(", ") || "All cars";
  const characters = [...name];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : name;
}

function range(least, most, shown) {
  if (least && most) return `${shown(least)} to ${shown(most)}`;
  return least ? `from ${shown(least)}` : most && `up to ${shown(most)}`;
}
