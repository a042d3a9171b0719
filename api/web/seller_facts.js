// What the page says of a seller: api/pages/words.py has the same words.

import { whole } from "./format.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function sellerFacts({ member_since: since, listing_count: count, answers, confirmed_address: isConfirmed }) {
  const [year, month] = since.split("-");
  return [
    `Member since ${MONTHS[Number(month) - 1]} ${year}`,
    `${whole.format(count)} ${count === 1 ? "car" : "cars"} on Daveslist`,
    answers && `Answers ${answers.within_a_day}% of first messages within a day`,
    isConfirmed && "Has confirmed an e-mail address",
  ].filter(Boolean);
}
