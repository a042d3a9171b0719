// For admins: the acts of moderators and admins, latest first; of one kind, if asked.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { nameOf } from "../format.js";
import { navigate } from "../navigation.js";
import { Form, select } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { exactly } from "../ui/moment.js";
import { adminTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const ACTIONS = [
  ...["warn", "suspend", "unsuspend", "ban", "unban", "objection_decide", "note_add", "note_delete", "role_change"],
  ...["listing_hide", "listing_show", "listing_edit", "listing_delete", "picture_add"],
  ...["picture_delete", "reply_delete", "report_resolve", "report_reopen", "trash_restore", "trash_delete"],
  "session_end",
  ...["category_create", "category_change", "category_delete"],
];
const wordsOf = (action) => action.charAt(0).toUpperCase() + action.slice(1).replaceAll("_", " ");

export class Audit extends View {
  title = "Audit";
  form = new Form(this, "audit", "", () => {});

  start() {
    this.asked = this.query.get("action") ?? "";
    this.acts = new PagedList(this, "/api/audit", { limit: 50, action: this.asked });
    this.acts.load();
  }

  template() {
    const choose = (event) => {
      const action = event.currentTarget.value;
      navigate(action ? `/admin/audit?${new URLSearchParams({ action })}` : "/admin/audit");
    };
    return html`${adminTabs()}
      <h1>Audit</h1>
      <div class="form inline">
        ${select(this.form, {
          name: "action",
          label: "What",
          value: this.asked,
          options: [["", "Everything"], ...ACTIONS.map((action) => [action, wordsOf(action)])],
          onChange: choose,
        })}
      </div>
      <div class="table" role="region" aria-label="Audit log" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Who</th>
              <th scope="col">What</th>
              <th scope="col">On what</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            ${repeat(
              this.acts.items,
              (act) => act.id,
              (act) => this.#row(act),
            )}
          </tbody>
        </table>
      </div>
      ${this.acts.foot("Nothing happened yet.")}`;
  }

  #row(act) {
    return html`<tr>
      <td>${exactly(act.created_at)}</td>
      <td><bdi>${nameOf(act.actor)}</bdi></td>
      <td>${wordsOf(act.action)}${this.#change(act)}</td>
      <td>${this.#target(act)}</td>
      <td dir="auto">${act.reason ?? ""}</td>
    </tr>`;
  }

  /** "user to moderator", of a changed role. */
  #change({ details }) {
    return details.from && details.to ? html`: ${details.from} to ${details.to}` : nothing;
  }

  #target({ target, details }) {
    const { type, id, name } = target;
    const words = name ? html`<bdi>${name}</bdi> <span class="quiet">(${type} ${id})</span>` : html`${type} ${id}`;
    if (type === "listing") return html`<a href=${`/listings/${id}`}>${words}</a>`;
    if (type === "user" && name) return html`<a href=${`/admin?${new URLSearchParams({ q: name })}`}>${words}</a>`;
    if (details.listing_id) return html`${words}, <a href=${`/listings/${details.listing_id}`}>listing ${details.listing_id}</a>`;
    return words;
  }
}
