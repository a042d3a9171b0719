// The search for cars, with filters and orders. The address holds the whole search, so it can be bookmarked and shared.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { categories, categoriesAsked } from "../categories.js";
import { FACTS, wordsFor } from "../facts.js";
import { distanceUnit, nameOf, whole } from "../format.js";
import { isolated } from "../isolate.js";
import { limits, limitsOf } from "../limits.js";
import { navigate } from "../navigation.js";
import { readNumber } from "../numbers.js";
import { rememberPlace, rememberedPlace, whereAmI } from "../place.js";
import { partsOf, searchName } from "../search_name.js";
import { sellerFacts } from "../seller_facts.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { announce } from "../ui/announcer.js";
import { card } from "../ui/card.js";
import { boxes, counted, countedSelect } from "../ui/facets.js";
import { Form, input, numberInput, select } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { REPORTED, reportDialog } from "../ui/report_dialog.js";
import { View } from "../view.js";

const BEST = ["relevance", "Best match"];
const SORTS = [
  ["newest", "Newest first"],
  ["price", "Price: low to high"],
  ["-price", "Price: high to low"],
  ["mileage", "Lowest mileage"],
  ["-year", "Newest model year"],
];
const NEAREST = ["distance", "Nearest first"];
/** The pages that are loaded again after a reload. */
const MOST_PAGES = 20;
const STATUSES = [
  ["", "For sale"],
  ["sold", "Sold"],
  ["any", "All"],
];
/** From this width on, the filters are beside the cars, and stay open. */
const WIDE = "(min-width: 60rem)";
const BOXES = FACTS.filter(({ name, isChoice }) => isChoice || name === "doors");
/** The units in which filters are asked for. */
const UNITS = { mileage_max: FACTS.find(({ name }) => name === "mileage").unit, power_kw_min: "kW" };
const FILTERS = [
  ...["category_id", "make", "model", "year_min", "year_max", "price_min", "price_max", "mileage_max", "status"],
  ...["near", "within", "power_kw_min", "owners_max"],
  ...BOXES.map(({ name }) => name),
];
/** Filters that only an address can have. */
const OTHER_FILTERS = ["power_kw_max", "engine_cc_min", "engine_cc_max", "vin"];
/** What people call what the form of filters does not ask for: api/pages/asked.py says the same. */
const OTHERS = {
  q: "Words",
  seller_id: "Person",
  power_kw_max: "Power",
  engine_cc_min: "Engine size",
  engine_cc_max: "Engine size",
  vin: "VIN",
};
const PARAMETERS = [...FILTERS, ...OTHER_FILTERS, "q", "verbatim", "seller_id", "sort"];

const LIMITS = limitsOf("ListingsQuery");
const LISTS = new Set(BOXES.map(({ name }) => name));

/** The values that a box can have: those of a closed list, or all numbers. */
const valuesOf = ({ options, min, max }) => options ?? Array.from({ length: max - min + 1 }, (_, index) => String(min + index));

/**
 * Returns what an address asks with a parameter: numbers in digits, of a closed list only what is on it, and as an id only
 * digits. Anybody can write an address; api/pages/asked.py reads it in the same way.
 */
function meant(name, texts) {
  const { options, min, max } = LIMITS[name] ?? {};
  if (name === "verbatim") return texts.includes("true") ? "true" : "";
  if (LISTS.has(name)) {
    const isOnList = (text) => (options ? options.includes(text) : /^\d{1,3}$/.test(text) && text >= min && text <= max);
    return [...new Set(texts.flatMap((text) => text.split(",")))].filter(isOnList).join(",");
  }
  const text = texts.join(",");
  if (options) return options.includes(text) ? text : "";
  if (name.endsWith("_id")) return /^[1-9]\d{0,17}$/.test(text) ? text : "";
  const number = min === undefined ? null : readNumber(text, { unit: UNITS[name] });
  return number === null ? text : String(number);
}

const DELETED = html`<a href="/listings/deleted">Deleted listings</a>`;

export class Browse extends View {
  title = "Used cars";
  layout = "wide";
  filters = new Form(this, "filters", "ListingsQuery", () => {});
  /** What the server counted, by the name of the filter. */
  facets = new Map();
  /** How many cars the server counted in all, {total, isAtLeast}; null while it has not. */
  counted = null;
  reported = new Acts(this);
  reporting = reportDialog(this, () => {
    this.reported.words = REPORTED;
    this.update();
  });
  /** What is known of the seller whose cars these are. */
  sellerFacts = [];
  /** What became of looking for the browser's location. */
  whereabouts = "";
  saving = new Acts(this);
  savedAs = null;
  isRestoring = false;
  #isFirstDrawing = true;
  /** The first drawing has the same boxes as the server's page, so that what was ticked there is not lost. */
  #isLikeServers = true;

  start(previous) {
    const given = (name) => this.query.getAll(name).filter((value) => value.trim());
    const known = PARAMETERS.map((name) => [name, meant(name, given(name))]).filter(([, value]) => value);
    this.asked = Object.fromEntries(known);
    // A form without JavaScript sends them also where they say nothing.
    if (!this.asked.near) delete this.asked.within;
    const sorts = this.#sorts().map(([sort]) => sort);
    const isLost = [BEST, NEAREST].some(([sort]) => sort === this.asked.sort && !sorts.includes(sort));
    if (this.asked.sort === sorts[0] || isLost) delete this.asked.sort;
    if (this.asked.q) this.title = `Cars: ${isolated(this.asked.q)}`;
    this.listings = new PagedList(this, "/api/listings", { ...this.asked, limit: 24 }, this.query.get("cursor"));
    // The old results stay until the answer is here.
    if (previous) {
      this.#isLikeServers = false;
      this.listings.items = previous.listings.items;
      this.facets = previous.facets;
      if (this.asked.seller_id === previous.asked.seller_id) this.sellerFacts = previous.sellerFacts;
    }
    this.#countFacets();
    // After a reload, the list is as long as it was.
    const pages = Math.min(history.state?.pages ?? 1, MOST_PAGES);
    this.isRestoring = pages > 1;
    // The heading and the words for what is asked need the categories: without them the place would be another one.
    Promise.all([this.#load(pages), this.#askForSeller(), this.isRestoring && categoriesAsked()]).then(() => {
      this.isRestoring = false;
      const [first] = this.listings.items;
      if (first && this.asked.seller_id && !this.asked.q) this.title = `Cars of ${isolated(nameOf(first.seller))}`;
      this.filters.problem = this.listings.problem?.status === 422 ? this.listings.problem : null;
      if (previous && !this.isLeft && !this.listings.problem) announce(this.#news());
      this.update();
    });
  }

  get isPending() {
    return this.listings.isPending || this.isRestoring;
  }

  /** The list is shown without the facts if they cannot be read. */
  async #askForSeller() {
    const id = this.asked.seller_id;
    if (id === undefined) return;
    this.sellerFacts = await api.get(`/api/sellers/${id}`, { signal: this.signal }).then(sellerFacts, () => []);
  }

  /** A cursor that cannot be read, or is one of another search, leads to the beginning of the list. */
  async #load(pages) {
    await this.listings.loadPages(pages);
    if (!this.listings.start || !this.listings.problem?.of("cursor")) return;
    this.listings.start = null;
    await this.listings.load();
  }

  /** Counts help to choose, and the page works without them. */
  async #countFacets() {
    const { sort, ...asked } = this.asked;
    try {
      const { facets, total, total_at_least: isAtLeast } = await api.get("/api/listings/facets", { query: asked, signal: this.signal });
      this.facets = new Map(facets.map((facet) => [facet.name, facet]));
      this.counted = { total, isAtLeast };
    } catch {
      this.facets = new Map();
      this.counted = null;
    }
    this.update();
  }

  template() {
    return html`<div class="browse">
      ${this.#filterForm()}
      <section class="results" aria-label="Results">
        <header class="results-head">
          <div>
            <h1>${this.#heading()}</h1>
            ${this.sellerFacts.length
              ? html`<ul class="seller-facts quiet">
                  ${this.sellerFacts.map((fact) => html`<li>${fact}</li>`)}
                </ul>`
              : nothing}
            <p class="found quiet">${this.#count()}${this.#isOwn ? html` · ${DELETED}` : nothing}</p>
          </div>
          ${this.#save()} ${this.#sort()}
        </header>
        ${this.saving.template()} ${this.#chips()} ${this.#correction()}
        <ul class="cards" aria-busy=${String(this.listings.isLoading)}>
          ${repeat(
            this.listings.items,
            (listing) => listing.id,
            (listing, index) => html`<li>${card(listing, index === 0)}</li>`,
          )}
        </ul>
        ${this.filters.problem ? this.#refused() : this.listings.foot(this.#nothingFound())} ${this.#report()}
      </section>
    </div>`;
  }

  /** At the end of a seller's cars, so that it moves nothing. */
  #report() {
    const { seller_id: id } = this.asked;
    if (!id || !session.user || this.#isOwn || !this.sellerFacts.length) return nothing;
    const [first] = this.listings.items;
    const name = first ? nameOf(first.seller) : "this person";
    const open = () => this.reporting.open({ title: `What is wrong with ${isolated(name)}?`, path: `/api/users/${id}` });
    return html`<p><button class="button small" @click=${open}>Report <bdi translate="no">${name}</bdi></button></p>
      ${this.reported.template()} ${this.reporting.template()}`;
  }

  /** Called when the view is shown again: the fields may have what another search was asked with. */
  shownAgain() {
    this.#isFirstDrawing = true;
  }

  /** What is wrong with an address that makes no sense. To ask again would not help. */
  #refused() {
    const beside = this.filters.problem.beside(FILTERS, OTHERS);
    const words = beside || "Some filters cannot be used. See what is wrong beside them.";
    return html`<p class="fault" role="alert">${words}</p>`;
  }

  afterDraw() {
    if (!this.#isFirstDrawing) return;
    this.#isFirstDrawing = false;
    if (this.#isLikeServers) {
      this.#isLikeServers = false;
      this.update();
    }
    // The filters show this search, and drop what was typed into them before.
    document.getElementById("filters")?.reset();
    const details = document.querySelector(".filters");
    if (details && !details.dataset.isSet) {
      details.dataset.isSet = "true";
      details.open = matchMedia(WIDE).matches;
    }
  }

  /** What screen readers hear of another search. */
  #news() {
    const { corrected } = this.listings;
    return corrected ? `Showing results for ${isolated(corrected.to)}: ${this.#count()}` : this.#count();
  }

  get #isOwn() {
    return this.asked.seller_id !== undefined && Number(this.asked.seller_id) === session.user?.id;
  }

  #heading() {
    if (this.#isOwn) return "Your listings";
    const [first] = this.listings.items;
    if (this.asked.seller_id && first) return html`Cars of <bdi translate="no">${nameOf(first.seller)}</bdi>`;
    if (this.asked.seller_id) return "Cars of this person";
    if (this.asked.q) return html`“<bdi>${this.asked.q}</bdi>”`;
    const category = categories().find((one) => String(one.id) === this.asked.category_id);
    return category ? html`<bdi>${category.name}</bdi>` : "Used cars";
  }

  /** "37 cars"; "24+ cars" while nobody has counted more. "" if that is not known: before the answer, and on a later page. */
  #count() {
    const { items, hasMore, start, isLoaded } = this.listings;
    if (!isLoaded || start) return "";
    if (!items.length) return "No cars";
    if (!hasMore) return items.length === 1 ? "1 car" : `${whole.format(items.length)} cars`;
    const { total, isAtLeast } = this.counted ?? { total: 0, isAtLeast: true };
    return `${counted(Math.max(total, items.length), isAtLeast)} cars`;
  }

  /** What the search asks. Each part can be taken away. */
  #chips() {
    const parts = partsOf(this.asked, categories());
    const [first] = this.listings.items;
    if (this.asked.seller_id) parts.push({ names: ["seller_id"], words: first ? nameOf(first.seller) : "this person" });
    if (!parts.length) return nothing;
    return html`<ul class="chips" aria-label="What this search asks">
      ${parts.map(
        ({ names, words }) =>
          html`<li>
            <a class="chip" href=${this.#addressWithout(names)}
              ><bdi>${words}</bdi><span class="for-readers">, take it away</span> <span aria-hidden="true">×</span></a
            >
          </li>`,
      )}
    </ul>`;
  }

  #addressWithout(names) {
    const others = this.#without(names);
    const isLost = (names.includes("q") && others.sort === BEST[0]) || (names.includes("near") && others.sort === NEAREST[0]);
    if (isLost) delete others.sort;
    const query = new URLSearchParams(others);
    return query.size ? `/?${query}` : "/";
  }

  /** What to say if no car is like that: api/pages/asked.py says the same. */
  #nothingFound() {
    const asked = Object.keys(this.asked).filter((name) => name !== "sort" && name !== "verbatim");
    if (!asked.length) return "No cars yet. Be the first to sell one.";
    if (asked.join() === "q") return `Nothing is found for “${isolated(this.asked.q)}”. Check the spelling, or try other words.`;
    if (asked.every((name) => name === "seller_id" || name === "status")) return "There are no cars of this person now.";
    return "No car is like that. Try fewer filters.";
  }

  #correction() {
    const { corrected } = this.listings;
    if (!corrected) return nothing;
    const address = (query) => `/?${new URLSearchParams({ ...this.asked, ...query })}`;
    return html`<p class="corrected">
      Showing results for <a href=${address({ q: corrected.to })}><bdi>${corrected.to}</bdi></a>. Search instead for
      <a href=${address({ q: corrected.from, verbatim: "true" })}><bdi>${corrected.from}</bdi></a>.
    </p>`;
  }

  #filterForm() {
    const apply = (event) => {
      event.preventDefault();
      const entries = [...new FormData(event.currentTarget)].filter(([, value]) => value.trim());
      let filters = {};
      // The values of boxes with the same name are one list.
      for (const [name, value] of entries) filters[name] = name in filters ? `${filters[name]},${value}` : value;
      try {
        filters = this.filters.withNumbers(filters);
      } catch (problem) {
        return this.filters.refuse(problem, event.currentTarget);
      }
      rememberPlace(filters);
      if (!filters.near) delete filters.within;
      const { sort, ...others } = this.#without(FILTERS);
      const isLost = sort === NEAREST[0] && !filters.near;
      this.#go({ ...others, ...(sort && !isLost ? { sort } : {}), ...filters });
      showResults();
    };
    const asked = this.asked;
    const range = (name, label, more) =>
      numberInput(this.filters, { name, label, value: asked[name], unit: UNITS[name], isPlain: name.startsWith("year"), ...more });
    const isNarrowed = FILTERS.some((name) => name in asked) || asked.q || asked.seller_id;
    const number = partsOf(asked, categories()).filter(({ names }) => names[0] !== "q").length;
    return html`<details class="filters">
      <summary>Filters${number ? ` (${number})` : ""}</summary>
      <form id="filters" class="form" aria-label="Filters" @submit=${apply}>
        ${select(this.filters, {
          name: "category_id",
          label: "Category",
          value: asked.category_id,
          options: [["", "All categories"], ...categories().map((one) => [one.id, this.#category(one)])],
        })}
        ${countedSelect(this.filters, {
          name: "make",
          label: "Make",
          value: asked.make,
          all: "All makes",
          facet: this.facets.get("make"),
        })}
        ${countedSelect(this.filters, {
          name: "model",
          label: "Model",
          value: asked.model,
          all: "All models",
          facet: this.facets.get("model"),
        })}
        ${this.#place()}
        <div class="pair">
          ${range("year_min", "Min year")} ${range("year_max", "Max year")}
        </div>
        <div class="pair">${range("price_min", "Min price")} ${range("price_max", "Max price")}</div>
        ${range("mileage_max", "Max mileage")}
        <div class="pair">${range("power_kw_min", "Min power (kW)")} ${range("owners_max", "Max owners")}</div>
        <div class="facets">
          ${BOXES.map(({ name, label }) =>
            boxes({
              name,
              label,
              facet: this.#isLikeServers ? undefined : this.facets.get(name),
              all: valuesOf(LIMITS[name]),
              asked: asked[name],
              words: (value) => wordsFor(name, value),
            }),
          )}
        </div>
        ${select(this.filters, { name: "status", label: "Status", value: asked.status, options: STATUSES })}
        <p class="actions">
          <button class="button primary">Apply</button>
          ${isNarrowed ? html`<a class="button" href="/">Clear</a>` : nothing}
        </p>
      </form>
    </details>`;
  }

  #category({ id, name }) {
    const facet = this.facets.get("category_id");
    if (!facet) return name;
    const count = facet.values.find(({ value }) => value === String(id))?.count ?? 0;
    return `${isolated(name)} (${counted(count, facet.at_least)})`;
  }

  #place() {
    const remembered = rememberedPlace();
    const { near = remembered.near, within = this.asked.near ? this.asked.within : remembered.within } = this.asked;
    const distances = limits.distances.map((number) => [`${number}${distanceUnit}`, `${number} ${distanceUnit}`]);
    if (within && !distances.some(([value]) => value === within)) distances.push([within, within]);
    return html`<div class="place">
      ${input(this.filters, {
        name: "near",
        label: "Near",
        value: near,
        placeholder: "Town or ZIP code",
        autocomplete: "postal-code",
      })}
      ${select(this.filters, {
        name: "within",
        label: "Within",
        value: within,
        options: [["", "Any distance"], ...distances],
      })}
      <p class="actions">
        <button type="button" class="button small" @click=${(event) => this.#locate(event.currentTarget.form)}>
          Use my location
        </button>
      </p>
      <p class="hint" role="status">${this.whereabouts}</p>
    </div>`;
  }

  /** Fills in where the browser is, because the person asked for it. */
  async #locate(form) {
    try {
      form.elements.near.value = await whereAmI();
      this.whereabouts = "Your location is filled in.";
    } catch (error) {
      this.whereabouts = error.message;
    }
    this.update();
  }

  #save() {
    if (!session.user) {
      const here = location.pathname + location.search;
      return html`<a class="button small" href=${`/login?${new URLSearchParams({ next: here })}`}>Save this search</a>`;
    }
    if (this.savedAs) return html`<a class="button small" href="/searches">Saved</a>`;
    return html`<button class="button small" @click=${() => this.#saveSearch()}>Save this search</button>`;
  }

  async #saveSearch() {
    const name = searchName(this.asked, categories(), limitsOf("SearchBody").name.maxlength);
    await this.saving.do(async () => {
      this.savedAs = await api.make("/api/searches", { name, query: this.asked });
    }, `Saved as “${isolated(name)}”. You will be told of each new car like these.`);
  }

  /** The orders that this search can have, the usual one first. */
  #sorts() {
    return [...(this.asked.q ? [BEST] : []), ...SORTS, ...(this.asked.near ? [NEAREST] : [])];
  }

  #sort() {
    const sorts = this.#sorts();
    const [[usual]] = sorts;
    const change = (event) => {
      const sort = event.currentTarget.value;
      this.#go({ ...this.#without(["sort"]), ...(sort === usual ? {} : { sort }) });
    };
    return html`<label class="sort"
      ><span>Sort</span>
      <select name="sort" @change=${change}>
        ${sorts.map(
          ([value, words]) =>
            html`<option value=${value} .selected=${live(value === (this.asked.sort ?? usual))}>${words}</option>`,
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

/** On a narrow screen the filters are above the cars: closes them, so that what they found is in view. */
function showResults() {
  const filters = document.querySelector(".filters");
  if (matchMedia(WIDE).matches || !filters) return;
  filters.open = false;
  document.querySelector(".results").scrollIntoView();
  const heading = document.querySelector(".results h1");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
