// The answers of the API from which the server has rendered this page. The first views take them, and do not ask again.

import { parsed } from "./isolate.js";
import { Problem } from "./problem.js";
import { session } from "./session.js";

const element = document.getElementById("answers");
const address = location.pathname + location.search;
// A browser that goes back may show a page as it was long ago.
const isOld = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
const answers = new Map(element && !isOld ? Object.entries(parsed(element.textContent)) : []);

/**
 * Returns a promise of the answer to a GET of this path, or null if it has to be asked for. Each answer is for one
 * question, for the address that the server has rendered, and for visitors: the server does not know who is logged in.
 */
export function takeAnswer(path, query = {}) {
  const key = keyOf(path, query);
  if (session.user || location.pathname + location.search !== address || !answers.has(key)) return null;
  const answer = answers.get(key);
  answers.delete(key);
  if (answer === null) return Promise.reject(new Problem({ status: 404, type: "not-found", title: "Not found" }));
  return Promise.resolve(answer);
}

/** The name that the server gives to the answer: with all that decides about it. */
function keyOf(path, { limit, ...query }) {
  const known = Object.keys(query).filter((name) => query[name] ?? "");
  const parameters = known.sort().map((name) => `${name}=${query[name]}`);
  return [path.replace(/\/\d+(?=\/|$)/g, "/{id}"), parameters.join("&")].filter(Boolean).join("?");
}
