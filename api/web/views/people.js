// For admins: find people, give roles, ban.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { banDialog } from "../ui/ban_dialog.js";
import { Dialog } from "../ui/dialog.js";
import { Form, input, select } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { day, exactly } from "../ui/moment.js";
import { adminTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const ROLES = [
  ["user", "User"],
  ["moderator", "Moderator"],
  ["admin", "Admin"],
];

const roleName = (role) => ({ user: "a user", moderator: "a moderator", admin: "an admin" })[role] ?? "";

export class People extends View {
  title = "People";
  acts = new Acts(this);
  search = new Form(this, "people", "UsersQuery", () => {});
  banning = banDialog(this, (person) => {
    this.acts.words = `${isolated(person.name)} is banned.`;
    this.people.load();
  });

  giving = new Dialog(this, "role", {
    title: (asked) => (asked ? `Make ${isolated(asked.person.name)} ${roleName(asked.role)}?` : ""),
    action: "Change the role",
    fields: (form, asked) => html`<p>Now: ${roleName(asked?.person.role)}. The change holds at once.</p>`,
    submit: async (_, { person, role }) => {
      await api.put(`/api/users/${person.id}/role`, { role });
      person.role = role;
      this.acts.words = `${isolated(person.name)} is ${role} now.`;
      if (person.id === session.user?.id) session.check();
    },
  });

  start() {
    const { q, role, banned } = Object.fromEntries(this.query);
    this.asked = { q, role, banned };
    this.people = new PagedList(this, "/api/users", this.asked);
    this.people.load();
  }

  template() {
    const find = (event) => {
      event.preventDefault();
      const entries = [...new FormData(event.currentTarget)].filter(([, value]) => value.trim());
      navigate(entries.length ? `/admin?${new URLSearchParams(entries)}` : "/admin");
    };
    return html`${adminTabs()}
      <h1>People</h1>
      <form id="people" class="form inline" role="search" aria-label="People" @submit=${find}>
        ${input(this.search, { name: "q", label: "Name or e-mail address", value: this.asked.q })}
        ${select(this.search, {
          name: "role",
          label: "Role",
          value: this.asked.role,
          options: [["", "Any"], ...ROLES],
        })}
        ${select(this.search, {
          name: "banned",
          label: "Banned",
          value: this.asked.banned,
          options: [
            ["", "Any"],
            ["true", "Yes"],
            ["false", "No"],
          ],
        })}
        <p class="actions"><button class="button primary">Find</button></p>
      </form>
      ${this.acts.template()}
      ${this.people.rows((person) => this.#row(person), "Nobody is like that.")} ${this.banning.template()} ${this.giving.template()}`;
  }

  #row(person) {
    const isMe = person.id === session.user?.id;
    return html`<li data-person=${person.id}>
      <div class="row-text">
        <p><a href=${`/moderation/people/${person.id}`}><strong><bdi translate="no">${person.name}</bdi></strong></a> <bdi class="quiet" translate="no">${person.email}</bdi></p>
        <p class="quiet small-text">Number ${person.id}, since ${day(person.created_at)}</p>
        ${person.ban
          ? html`<p class="fault small-text">
              ${person.ban.suspension ? "Suspended" : "Banned"} ${person.ban.until ? html`until ${exactly(person.ban.until)}` : "for good"}: <bdi>${person.ban.reason}</bdi>
            </p>`
          : nothing}
      </div>
      <div class="row-buttons">
        <label class="inline-label"
          ><span class="for-readers">Role of <bdi>${person.name}</bdi></span>
          <select @change=${(event) => this.#askRole(person, event.currentTarget)}>
            ${ROLES.map(
              ([value, words]) => html`<option value=${value} .selected=${live(value === person.role)}>${words}</option>`,
            )}
          </select>
        </label>
        ${isMe
          ? nothing
          : person.ban
            ? html`<button class="button small" aria-label=${`Unban ${isolated(person.name)}`} @click=${() => this.#unban(person)}>
                Unban
              </button>`
            : html`<button
                class="button small danger"
                aria-label=${`Ban ${isolated(person.name)}`}
                @click=${() => this.banning.open(person)}
              >
                Ban
              </button>`}
      </div>
    </li>`;
  }

  /** Some browsers choose with the arrow keys at once, so a choice is only a question. */
  #askRole(person, element) {
    const role = element.value;
    element.value = person.role;
    this.giving.open({ person, role });
  }

  async #unban(person) {
    await this.acts.do(async () => {
      await api.delete(`/api/users/${person.id}/ban`);
      person.ban = null;
    }, `${isolated(person.name)} is no longer banned.`);
  }
}
