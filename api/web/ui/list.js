// A list that is read page by page: the first page, then more when the button is pressed.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { Problem } from "../problem.js";

export class PagedList {
  items = [];
  isLoaded = false;
  isLoading = false;
  /** How many pages were asked for. */
  pages = 0;
  problem = null;
  /** What was searched for instead of what was typed, `{from, to}`, if some of the items rest on that; else null. */
  corrected = null;
  /** What tells an item from all others. */
  idOf = (item) => item.id;
  #cursor = null;
  /** The numbers of the last read, and of the last one whose answer was taken. */
  #asked = 0;
  #taken = 0;

  /** `start` is the cursor of the first page; null for the beginning. */
  constructor(view, path, query = {}, start = null) {
    this.view = view;
    this.path = path;
    this.query = query;
    this.start = start;
  }

  /** True until the first page is there, or has failed. */
  get isPending() {
    return !this.isLoaded && !this.problem;
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  /** Loads the first page, which replaces all items. */
  async load() {
    this.#cursor = this.start;
    this.pages = 1;
    await this.#read((page) => page.data);
  }

  async more() {
    if (this.isLoading) return;
    const known = new Set(this.items.map(this.idOf));
    this.pages += 1;
    await this.#read((page) => [...this.items, ...page.data.filter((item) => !known.has(this.idOf(item)) || !this.idOf(item))]);
  }

  /** Loads pages until there are so many, or no more. */
  async loadPages(count) {
    await this.load();
    for (let page = 1; page < count && this.hasMore && !this.problem; page += 1) await this.more();
  }

  /** Takes an item from the list. The items that come after it are not loaded again. */
  remove(removed) {
    this.items = this.items.filter((item) => this.idOf(item) !== this.idOf(removed));
  }

  async #read(merge) {
    this.isLoading = true;
    this.view.update();
    const number = (this.#asked += 1);
    try {
      const query = { ...this.query, cursor: this.#cursor };
      const page = await api.get(this.path, { query, signal: this.view.signal });
      // A read that began later may be answered sooner.
      if (number < this.#taken) return;
      this.#taken = number;
      this.corrected = page.corrected ?? (this.#cursor && this.corrected);
      this.items = merge(page);
      this.#cursor = page.next_cursor;
      this.isLoaded = true;
      this.problem = null;
    } catch (error) {
      if (number < this.#taken) return;
      this.problem = Problem.of(error);
    }
    if (number === this.#asked) this.isLoading = false;
    this.view.update();
  }

  /** All items, each made by `row(item)`, and the foot. */
  rows(row, empty) {
    return html`<ul class="rows">
        ${repeat(this.items, (item) => item.id, row)}
      </ul>
      ${this.foot(empty)}`;
  }

  /** The part after the items: an error, a text for an empty list, or the button for more. */
  foot(empty) {
    if (this.problem?.type === "aborted") return nothing;
    if (this.problem) {
      return html`<p class="fault" role="alert">
        ${this.problem.message}
        <button class="button small" @click=${() => (this.isLoaded ? this.more() : this.load())}>Try again</button>
      </p>`;
    }
    if (!this.isLoaded) return html`<p class="quiet" role="status">Loading…</p>`;
    if (!this.items.length) return html`<p class="empty">${empty}</p>`;
    if (!this.hasMore) return nothing;
    return html`<p class="more">
      <button class="button" ?disabled=${this.isLoading} @click=${() => this.more()}>
        ${this.isLoading ? "Loading…" : "Show more"}
      </button>
    </p>`;
  }
}
