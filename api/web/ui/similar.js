// Cars like the one that is shown: its make and model, and if there are few of them, its make. They are asked for when
// somebody comes near the end of the page, so that nobody waits for them. Without JavaScript there is a link to them.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { card } from "./card.js";

const MOST = 4;
const FEW = 2;
/** So near they are asked for: they are there before they are seen, and move nothing that is seen. */
const NEAR = "600px";

export class Similar {
  #cars = [];
  #observer = null;

  constructor(view) {
    this.view = view;
  }

  /** Call this after each drawing of the car. */
  watch(listing) {
    const end = document.getElementById("similar");
    if (this.#observer || !end || !listing?.make) return;
    this.#observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        this.#observer.disconnect();
        this.#find(listing);
      },
      { rootMargin: NEAR },
    );
    this.#observer.observe(end);
  }

  stop() {
    this.#observer?.disconnect();
  }

  async #find({ id, make, model, category }) {
    const found = new Map();
    const searches = [...(model ? [{ make, model }] : []), { make, category_id: category.id }];
    try {
      for (const query of searches) {
        if (found.size >= FEW) break;
        const { data } = await api.get("/api/listings", { query: { ...query, limit: MOST + 1 }, signal: this.view.signal });
        for (const one of data) if (one.id !== id && found.size < MOST) found.set(one.id, one);
      }
    } catch {
      // The page is whole without them.
    }
    this.#cars = [...found.values()];
    this.view.update();
  }

  template() {
    return html`<div id="similar">
      ${this.#cars.length
        ? html`<section aria-labelledby="similar-title">
            <h2 id="similar-title">Similar cars</h2>
            <ul class="cards">
              ${repeat(
                this.#cars,
                (listing) => listing.id,
                (listing) => html`<li>${card(listing)}</li>`,
              )}
            </ul>
          </section>`
        : nothing}
    </div>`;
  }
}
