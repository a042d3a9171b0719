// For moderators: one person. What was done to them before, notes, and what can be done now.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { now } from "../clock.js";
import { count, nameOf } from "../format.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { openReports } from "../open_reports.js";
import { live } from "../realtime/live.js";
import { LiveModeration } from "../realtime/live_moderation.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { banDialog } from "../ui/ban_dialog.js";
import { Dialog } from "../ui/dialog.js";
import { Form, formOf, select, textarea } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { PagedList } from "../ui/list.js";
import { ago, day, exactly } from "../ui/moment.js";
import { objectionText, sanctionText } from "../ui/sanctions.js";
import { moderationTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const DAY_MS = 24 * 3_600_000;
const TIMES = [
  ["1", "One day"],
  ["3", "Three days"],
  ["7", "One week"],
  ["30", "30 days"],
];
const reason = (form) => textarea(form, { name: "reason", label: "Reason (they are told)", rows: 3, required: true });

export class Person extends View {
  title = "Person";
  person = null;
  acts = new Acts(this);
  #path = `/api/users/${this.params.id}`;
  #draft = new FormDraft(`note on ${this.params.id}`);
  sanctions = new PagedList(this, `${this.#path}/sanctions`);
  notes = new PagedList(this, `${this.#path}/notes`);
  noting = new Form(this, "note", "NoteBody", async (values, element) => {
    await api.make(`${this.#path}/notes`, values);
    element.reset();
    this.#draft = this.#draft.forget();
    this.notes.load();
    return "Noted.";
  });

  warning = this.#dialog("warn", (name) => `Warn ${name}?`, "Warn", "WarningBody", {
    fields: (form) => [reason(form)],
    submit: (values) => api.make(`${this.#path}/warnings`, values),
    done: "They have to read it before they write again.",
  });

  suspending = this.#dialog("suspend", (name) => `Suspend ${name}?`, "Suspend", "SuspensionBody", {
    isDanger: true,
    fields: (form) => [reason(form), select(form, { name: "days", label: "For how long", options: TIMES })],
    submit: ({ days, ...values }) => api.put(`${this.#path}/suspension`, { ...values, days: Number(days) }),
    done: "They are suspended.",
  });

  banning = banDialog(this, () => this.#changed("They are banned."));

  #live = new LiveModeration({
    connection: live,
    readAgain: () => this.#readAgain(),
    on: Object.fromEntries(
      ["sanctioned", "objected", "decided"].map((event) => [
        event,
        ({ person_id: id }) => String(id) === this.params.id && this.#readAgain(),
      ]),
    ),
  });

  #dialog(id, title, action, request, { fields, submit, done, isDanger = false }) {
    return new Dialog(this, id, {
      title: (person) => title(isolated(person ? nameOf(person) : "")),
      action,
      request,
      isDanger,
      fields,
      submit: async (values) => {
        await submit(values);
        this.#changed(done);
      },
    });
  }

  start() {
    this.load(async () => {
      this.person = await api.get(this.#path, { signal: this.signal });
      this.title = isolated(nameOf(this.person));
    });
    this.sanctions.load();
    this.notes.load();
    this.#live.start();
  }

  stop() {
    this.#live.stop();
    super.stop();
  }

  #readAgain() {
    openReports.ask();
    return this.sanctions.loadPages(this.sanctions.pages);
  }

  afterDraw() {
    this.#draft.drawn(this, this.noting);
  }

  template() {
    if (this.problem) return html`${moderationTabs()}
        <h1>This did not work</h1>
        <p class="fault" role="alert">${this.problem.message}</p>`;
    if (!this.person) return html`${moderationTabs()}<p class="quiet" role="status">Loading…</p>`;
    return html`${moderationTabs()}
      <h1><bdi translate="no">${nameOf(this.person)}</bdi></h1>
      <p class="quiet">
        Number ${this.person.id}, since ${day(this.person.created_at)}.
        <a href=${`/?seller_id=${this.person.id}&status=any`}>Their listings</a>
      </p>
      ${this.#new()} ${this.acts.template()} ${this.#buttons()}
      <h2>What was done before</h2>
      ${this.sanctions.rows(
        (one) => html`<li data-sanction=${one.id}><div class="row-text">${sanctionText(one)} ${objectionText(one.objection)}</div></li>`,
        "Nothing.",
      )}
      <h2>Notes</h2>
      ${formOf(this.noting, { label: "A note", action: "Add the note" }, [
        textarea(this.noting, {
          name: "text",
          label: "For other moderators",
          rows: 3,
          required: true,
          hint: "This person can get a copy of it, without your name. Name nobody who has reported them.",
        }),
      ])}
      ${this.notes.rows((note) => this.#note(note), "There are no notes.")}
      ${this.warning.template()} ${this.suspending.template()} ${this.banning.template()}`;
  }

  /** What a new account may not do yet. */
  #new() {
    const { days, listings, people } = limits.new_accounts;
    const until = new Date(Date.parse(this.person.created_at) + days * DAY_MS);
    if (this.person.role !== "user" || until.getTime() <= now()) return nothing;
    return html`<p class="notice small-text" id="new-account">
      A new account until ${exactly(until.toISOString())}. Within a day it may write first to ${count(people, "person", "people")}, and
      offer ${count(listings, "car", "cars")}.
    </p>`;
  }

  #buttons() {
    const { person } = this;
    if (person.id === session.user?.id) return nothing;
    if (person.role !== "user" && !session.is("admin")) {
      return html`<p class="quiet">Only admins warn or suspend moderators and admins.</p>`;
    }
    const lasting = this.sanctions.items.find((one) => ["suspension", "ban"].includes(one.kind) && !one.ended_at);
    return html`<p class="actions">
      <button class="button" @click=${() => this.warning.open(person)}>Warn</button>
      ${lasting?.kind === "ban"
        ? nothing
        : html`<button class="button danger" @click=${() => this.suspending.open(person)}>
            ${lasting ? "Change the suspension" : "Suspend"}
          </button>`}
      ${lasting?.kind === "suspension" ? html`<button class="button" @click=${() => this.#end("suspension")}>End the suspension</button>` : nothing}
      ${session.is("admin")
        ? lasting?.kind === "ban"
          ? html`<button class="button" @click=${() => this.#end("ban")}>Unban</button>`
          : html`<button class="button danger" @click=${() => this.banning.open(person)}>Ban</button>`
        : nothing}
    </p>`;
  }

  #note(note) {
    const mayDelete = session.is("admin") || note.author.id === session.user?.id;
    return html`<li data-note=${note.id}>
      <div class="row-text">
        <p class="user-text" dir="auto">${note.text}</p>
        <p class="quiet small-text"><bdi translate="no">${nameOf(note.author)}</bdi>, ${ago(note.created_at)}</p>
      </div>
      <div class="row-buttons">
        ${mayDelete ? html`<button class="button small" @click=${() => this.#forget(note)}>Delete</button>` : nothing}
      </div>
    </li>`;
  }

  #changed(words) {
    this.acts.words = words;
    this.acts.isFault = false;
    this.sanctions.load();
  }

  #forget(note) {
    return this.acts.do(async () => {
      await api.delete(`/api/notes/${note.id}`);
      this.notes.remove(note);
    }, "The note is deleted.");
  }

  async #end(kind) {
    await this.acts.do(() => api.delete(`${this.#path}/${kind}`), "It is over.");
    this.sanctions.load();
  }
}
