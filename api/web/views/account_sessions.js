// Where the user is logged in, with a button to log out there. A part of the account.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { Acts } from "../ui/acts.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";

export class Sessions {
  constructor(view) {
    this.acts = new Acts(view);
    this.list = new PagedList(view, "/api/me/sessions");
  }

  load() {
    this.list.load();
  }

  template() {
    return html`<h2>Where you are logged in</h2>
      ${this.list.rows((one) => this.#row(one), "Nowhere else.")} ${this.acts.template()}
      ${this.list.items.length > 1
        ? html`<p><button class="button" @click=${() => this.#endOthers()}>Log out everywhere else</button></p>`
        : nothing}`;
  }

  #row(one) {
    const device = one.device || "An unknown device";
    return html`<li data-session=${one.id}>
      <div class="row-text">
        <p><bdi>${device}</bdi>${one.current ? html` <span class="quiet">(this one)</span>` : nothing}</p>
        <p class="quiet small-text">
          Used ${ago(one.used_at)}${one.address ? html` from <bdi translate="no">${one.address}</bdi>` : nothing}, logged in
          ${ago(one.created_at)}
        </p>
      </div>
      ${one.current
        ? nothing
        : html`<button class="button small" aria-label=${`Log out ${device}`} @click=${() => this.#end(one)}>Log out</button>`}
    </li>`;
  }

  async #end(one) {
    await this.acts.do(async () => {
      await api.delete(`/api/me/sessions/${encodeURIComponent(one.id)}`);
      this.list.remove(one);
    }, "That device is logged out.");
  }

  async #endOthers() {
    await this.acts.do(async () => {
      await api.delete("/api/me/sessions");
      await this.list.load();
    }, "All other devices are logged out.");
  }
}
