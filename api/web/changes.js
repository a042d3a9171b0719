// Changes of things that somebody else may change at the same time: only what was changed is sent, and nothing is undone.

import { api } from "./api.js";
import { isolated } from "./isolate.js";
import { Problem } from "./problem.js";

/**
 * Changes the fields of `wanted` that differ from `seen`, the values that the form showed. Resolves with the result.
 *
 * If another value than the one seen is stored by now, it throws a Problem that says it, and puts it into `seen`: a
 * second press then replaces it. `labels` has the fields that can be compared, and their names for people; other
 * fields are sent as they are.
 */
export async function change(path, seen, wanted, labels) {
  const isNews = ([name, value]) => !(name in labels) || value !== seen[name];
  const changed = Object.fromEntries(Object.entries(wanted).filter(isNews));
  for (;;) {
    const { value: now, tag } = await api.version(path);
    const others = Object.keys(changed).filter((name) => name in labels && ![seen[name], changed[name]].includes(now[name]));
    if (others.length) {
      const told = others.map((name) => `${labels[name]}: “${isolated(String(now[name]))}”.`).join(" ");
      for (const name of others) seen[name] = now[name];
      throw new Problem({ title: `This was changed elsewhere meanwhile. ${told} Save again to replace it by yours.` });
    }
    if (!Object.keys(changed).length) return now;
    try {
      return await api.patch(path, changed, tag);
    } catch (error) {
      if (error.type !== "changed-meanwhile") throw error;
    }
  }
}
