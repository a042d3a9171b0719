// For admins: the acts of moderators and admins, latest first.

import { html } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { nameOf } from "../format.js";
import { PagedList } from "../ui/list.js";
import { exactly } from "../ui/moment.js";
import { adminTabs } from "../ui/tabs.js";
import { View } from "../view.js";

export class Audit extends View {
  title = "Audit";
  acts = new PagedList(this, "/api/audit", { limit: 50 });

  start() {
    this.acts.load();
  }

  template() {
    return html`${adminTabs()}
      <h1>Audit</h1>
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
              (act) =>
                html`<tr>
                  <td>${exactly(act.created_at)}</td>
                  <td><bdi>${nameOf(act.actor)}</bdi></td>
                  <td>${act.action.replaceAll("_", " ")}</td>
                  <td>${act.target.type} ${act.target.id}</td>
                  <td dir="auto">${act.reason ?? ""}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      ${this.acts.foot("Nothing happened yet.")}`;
  }
}
