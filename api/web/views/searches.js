// The user's saved searches, each with the number of its new alerts.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { alerts } from "../realtime/my_alerts.js";
import { Acts } from "../ui/acts.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";
import { myTabs } from "../ui/tabs.js";
import { View } from "../view.js";

export class Searches extends View {
  title = "Saved searches";
  searches = new PagedList(this, "/api/searches");
  acts = new Acts(this);
  #forget = () => {};

  start() {
    this.#forget = alerts.onNews(({ search }) => {
      const found = search && this.searches.items.find((one) => one.id === search.id);
      if (found) found.unseen += 1;
      this.update();
    });
    this.searches.load();
  }

  stop() {
    super.stop();
    this.#forget();
  }

  template() {
    return html`${myTabs()}
      <h1>Saved searches</h1>
      ${this.acts.template()}
      ${this.searches.rows((search) => this.#row(search), "None yet. Search for a car, and save the search.")}`;
  }

  #row(search) {
    const query = new URLSearchParams(search.query);
    const most = limits.counted_of_a_search;
    return html`<li data-search=${search.id}>
      <div class="row-text">
        <p>
          <a href=${query.size ? `/?${query}` : "/"}><bdi>${search.name}</bdi></a>
          ${search.unseen ? html`<span class="badge">${search.unseen >= most ? `${most}+` : search.unseen} new</span>` : nothing}
        </p>
        <p class="quiet small-text">Saved ${ago(search.created_at)}</p>
      </div>
      <div class="row-buttons">
        <button class="button small" aria-label=${`Delete ${isolated(search.name)}`} @click=${() => this.#delete(search)}>Delete</button>
      </div>
    </li>`;
  }

  async #delete(search) {
    await this.acts.do(async () => {
      await api.delete(`/api/searches/${search.id}`);
      this.searches.remove(search);
    }, `“${isolated(search.name)}” is deleted.`);
  }
}
