// The scripts that only some people need, so that nobody else waits for them.

import { Problem } from "./problem.js";
import { missesAFile } from "./upgrade.js";

const SCRIPTS = {
  newcomers: () => import("./later/for_newcomers.js"),
  users: () => import("./later/for_users.js"),
  staff: () => import("./later/for_staff.js"),
};
/** A network may fail for a moment; and while the servers are upgraded one after the other, only some have a script. */
const AGAIN_AFTER_MS = [500, 2_000];

/** What the scripts export, by name, as soon as they have run. */
const here = new Map();
const coming = new Map();

/** Returns what the script exports; undefined if it is not here. */
export const scriptHere = (name) => here.get(name);

/** Resolves with what the script exports. Throws Problem if it cannot be loaded; then it can be tried again. */
export async function bringScript(name) {
  if (!here.has(name)) {
    if (!coming.has(name)) coming.set(name, load(name).finally(() => coming.delete(name)));
    await coming.get(name);
  }
  return here.get(name);
}

/** Loads the script so that it is here when it is needed, and says nothing if that fails. */
export function prepareScript(name) {
  bringScript(name).catch(() => {});
}

/** Every engine says in its own words that a script was not loaded. One that was loaded and fails is a fault of the page. */
const isNotThere = (error) => error instanceof TypeError && /import/i.test(error.message);

async function load(name) {
  for (const pause of [0, ...AGAIN_AFTER_MS]) {
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      here.set(name, await SCRIPTS[name]());
      return;
    } catch (error) {
      if (!isNotThere(error)) throw error;
    }
  }
  // Somebody who is offline is told so. A server that answers, and has no such script, has another version.
  if (await missesAFile()) throw new Problem({ title: "Daveslist has been updated. Load the page again." });
  throw Problem.unreachable();
}
