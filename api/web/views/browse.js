// The search for cars, with filters and orders. The address holds the whole search, so it can be bookmarked and shared.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { categories } from "../categories.js";
import { nameOf } from "../format.js";
import { limitsOf } from "../limits.js";
import { navigate } from "../navigation.js";
import { searchName } from "../search_name.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { announce } from "../ui/announcer.js";
import { card } from "../ui/card.js";
import { Form, input, select } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { View } from "../view.js";

const SORTS = [
  ["newest", "Newest first"],
  ["price", "Price: low to high"],
  ["-price", "Price: high to low"],
  ["mileage", "Lowest mileage"],
  ["-year", "Newest model year"],
];
const STATUSES = [
  ["", "For sale"],
  ["sold", "Sold"],
  ["any", "All"],
];
const FILTERS = ["category_id", "make", "model", "year_min", "year_max", "price_min", "price_max", "mileage_max", "status"];
const PARAMETERS = [...FILTERS, "q", "seller_id", "sort"];

export class Browse extends View {
  title = "Used cars";
  layout = "wide";
  filters = new Form(this, "filters", "ListingsQuery", () => {});
  saving = new Acts(this);
  savedAs = null;
  #isFirstDrawing = true;

  start(previous) {
    const known = PARAMETERS.filter((name) => this.query.get(name)?.trim()).map((name) => [name, this.query.get(name)]);
    this.asked = Object.fromEntries(known);
    if (this.asked.q) this.title = `Cars: ${this.asked.q}`;
    this.listings = new PagedList(this, "/api/listings", { ...this.asked, limit: 24 }, this.query.get("cursor"));
    // The old results stay until the answer is here.
    if (previous) this.listings.items = previous.listings.items;
    this.listings.load().then(() => {
      const [first] = this.listings.items;
      if (first && this.asked.seller_id && !this.asked.q) this.title = `Cars of ${nameOf(first.seller)}`;
      this.filters.problem = this.listings.problem?.status === 422 ? this.listings.problem : null;
      if (previous && !this.isLeft && !this.listings.problem) announce(this.#count());
      this.update();
    });
  }

  get isPending() {
    return this.listings.isPending;
  }

  template() {
    return html`<div class="browse">
      ${this.#filterForm()}
      <section class="results" aria-label="Results">
        <header class="results-head">
          <h1>${this.#heading()}</h1>
          ${this.#save()} ${this.#sort()}
        </header>
        ${this.saving.template()}
        <ul class="cards" aria-busy=${String(this.listings.isLoading)}>
          ${repeat(
            this.listings.items,
            (listing) => listing.id,
            (listing) => html`<li>${card(listing)}</li>`,
          )}
        </ul>
        ${this.listings.foot(
          Object.keys(this.asked).length ? "No car is like that. Try fewer filters." : "No cars yet. Be the first to sell one.",
        )}
      </section>
    </div>`;
  }

  afterDraw() {
    if (!this.#isFirstDrawing) return;
    this.#isFirstDrawing = false;
    // The filters show this search, and drop what was typed into them before.
    document.getElementById("filters")?.reset();
    const details = document.querySelector(".filters");
    if (details && !details.dataset.isSet) {
      details.dataset.isSet = "true";
      details.open = matchMedia("(min-width: 60rem)").matches;
    }
  }

  #heading() {
    if (this.asked.seller_id && Number(this.asked.seller_id) === session.user?.id) return "Your listings";
    const [first] = this.listings.items;
    if (this.asked.seller_id && first) return html`Cars of <bdi>${nameOf(first.seller)}</bdi>`;
    const category = categories().find((one) => String(one.id) === this.asked.category_id);
    return category?.name ?? "Used cars";
  }

  #count() {
    const { items, hasMore } = this.listings;
    return hasMore ? `${items.length} cars and more` : `${items.length === 1 ? "1 car" : `${items.length} cars`}`;
  }

  #filterForm() {
    const apply = (event) => {
      event.preventDefault();
      const entries = [...new FormData(event.currentTarget)].filter(([, value]) => value.trim());
      this.#go({ ...this.#without(FILTERS), ...Object.fromEntries(entries) });
    };
    const asked = this.asked;
    const number = (name, label, more) =>
      input(this.filters, { name, label, value: asked[name], type: "number", inputmode: "numeric", ...more });
    const isNarrowed = FILTERS.some((name) => name in asked) || asked.q || asked.seller_id;
    return html`<details class="filters">
      <summary>Filters</summary>
      <form id="filters" class="form" aria-label="Filters" @submit=${apply}>
        ${select(this.filters, {
          name: "category_id",
          label: "Category",
          value: asked.category_id,
          options: [["", "All categories"], ...categories().map((one) => [one.id, one.name])],
        })}
        ${input(this.filters, { name: "make", label: "Make", value: asked.make })}
        ${input(this.filters, { name: "model", label: "Model", value: asked.model })}
        <div class="pair">
          ${number("year_min", "Min year")} ${number("year_max", "Max year")}
        </div>
        <div class="pair">${number("price_min", "Min price")} ${number("price_max", "Max price")}</div>
        ${number("mileage_max", "Max mileage")}
        ${select(this.filters, { name: "status", label: "Status", value: asked.status, options: STATUSES })}
        <p class="actions">
          <button class="button primary">Apply</button>
          ${isNarrowed ? html`<a class="button" href="/">Clear</a>` : nothing}
        </p>
      </form>
    </details>`;
  }

  #save() {
    if (!session.user) {
      const here = location.pathname + location.search;
      return html`<a class="button small" href=${`/login?${new URLSearchParams({ next: here })}`}>Log in to save this search</a>`;
    }
    if (this.savedAs) return html`<a class="button small" href="/searches">Saved</a>`;
    return html`<button class="button small" @click=${() => this.#saveSearch()}>Save this search</button>`;
  }

  async #saveSearch() {
    const name = searchName(this.asked, categories(), limitsOf("SearchBody").name.maxlength);
    await this.saving.do(async () => {
      this.savedAs = await api.post("/api/searches", { name, query: this.asked });
    }, `Saved as “${name}”. You will be told of each new car like these.`);
  }

  #sort() {
    const change = (event) => {
      const sort = event.currentTarget.value;
      this.#go({ ...this.#without(["sort"]), ...(sort === "newest" ? {} : { sort }) });
    };
    return html`<label class="sort"
      ><span>Sort</span>
      <select name="sort" @change=${change}>
        ${SORTS.map(
          ([value, words]) =>
            html`<option value=${value} ?selected=${value === (this.asked.sort ?? "newest")}>${words}</option>`,
        )}
      </select>
    </label>`;
  }

  #without(names) {
    return Object.fromEntries(Object.entries(this.asked).filter(([name]) => !names.includes(name)));
  }

  #go(query) {
    const parameters = new URLSearchParams(query);
    navigate(parameters.size ? `/?${parameters}` : "/");
  }
}
