// The categories that this person may see, loaded once.

import { api } from "./api.js";
import { limits } from "./limits.js";
import { update } from "./page.js";
import { session } from "./session.js";

let known = null;
let asked = null;

/** The categories that are loaded so far; the page is drawn again when they have come. */
export function categories() {
  asked ??= load();
  return known ?? [];
}

/** Resolves when the categories have come, or could not be loaded. */
export function categoriesAsked() {
  asked ??= load();
  return asked;
}

/** Whether the categories have come. */
export function areCategoriesKnown() {
  return known !== null;
}

/** Load them again: they have changed, or another person is logged in. */
export function forgetCategories() {
  asked = null;
}

async function load() {
  try {
    let cursor = null;
    const found = [];
    do {
      const page = await api.get("/api/categories", { query: { limit: limits.page_items, cursor } });
      found.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor);
    known = found;
  } catch {
    setTimeout(forgetCategories, 2_000);
  }
  update();
}

session.onChange(({ isOtherPerson }) => {
  if (!isOtherPerson) return;
  known = null;
  forgetCategories();
});
