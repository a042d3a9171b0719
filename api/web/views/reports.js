// For moderators: what waits for them, in groups about one listing or one person, the worst first. The queue is live: it moves by
// itself, and says which group another moderator is looking at.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { isolated } from "../isolate.js";
import { count, nameOf } from "../format.js";
import { navigate } from "../navigation.js";
import { openReports } from "../open_reports.js";
import { Problem } from "../problem.js";
import { live } from "../realtime/live.js";
import { keyOf, LiveQueue } from "../realtime/live_queue.js";
import { session } from "../session.js";
import { Acts } from "../ui/acts.js";
import { carInBrief } from "../ui/car_in_brief.js";
import { hideDialog } from "../ui/hide_dialog.js";
import { PagedList } from "../ui/list.js";
import { picturesOf } from "../ui/message_pictures.js";
import { ago } from "../ui/moment.js";
import { queueEntry, REASONS } from "../ui/queue_entry.js";
import { reportedMessages } from "../ui/reported_messages.js";
import { Shortcuts } from "../ui/shortcuts.js";
import { moderationTabs } from "../ui/tabs.js";
import { WeekNumbers } from "../ui/week_numbers.js";
import { View } from "../view.js";

const DEEDS = {
  warn: ["warning", "warnings"],
  listing_hide: ["hidden listing", "hidden listings"],
  suspend: ["suspension", "suspensions"],
  ban: ["ban", "bans"],
};
/** A group is claimed when the focus has stayed in it for so long: who only passes by holds nothing. */
const STAYS_MS = 400;
const PATHS = { listing: "listings", person: "people" };

const pathOf = ({ kind, id }) => `/api/moderation/queue/${PATHS[kind]}/${id}`;

export class Reports extends View {
  title = "Reports";
  groups = new PagedList(this, "/api/moderation/queue");
  acts = new Acts(this);
  numbers = new WeekNumbers(this, REASONS);
  /** The paths of what was resolved last, which can be undone. */
  #resolved = [];
  /** The messages that were looked at, by the id of their report; a Problem if they could not be read. */
  #messages = new Map();
  /** The ids of the holds whose pictures are shown. */
  #withPictures = new Set();
  #claiming = null;
  /** The groups that are being read again, and which of them changed meanwhile. */
  #reading = new Map();
  /** For each reading of all groups that is under way, by their keys, the groups that have changed since it began. */
  #changedSince = new Set();
  hiding = hideDialog(this, async () => {
    this.acts.words = "The listing is hidden.";
    await this.#changed({ kind: "listing", id: this.hiding.subject.id });
  });
  shortcuts = new Shortcuts(this, ".report-group", [
    ["r", "Resolve all of this group", (row) => this.#withGroup(row, (group) => this.#resolve(group))],
    ["h", "Hide the listing, or show it again", (row) => this.#withGroup(row, (group) => this.#hideOrShow(group))],
    ["d", "Deliver the held messages", (row) => this.#withGroup(row, (group) => this.#decideAll(group, "let_go"))],
    ["b", "Keep the held messages back", (row) => this.#withGroup(row, (group) => this.#decideAll(group, "kept"))],
    ["m", "Look at the messages around the reported ones", (row) => this.#withGroup(row, (group) => this.#lookAtAll(group))],
    ["p", "Warn or suspend the person", (row) => this.#withGroup(row, ({ person }) => navigate(`/moderation/people/${person.id}`))],
    ["t", "Take the group over", (row) => this.#withGroup(row, (group) => this.queue.claim(group, { take: true }), true)],
    ["u", "Undo", () => this.#undo()],
  ]);
  queue = new LiveQueue({
    connection: live,
    me: session.user?.id,
    changed: (group) => this.#changed(group),
    personChanged: (id) => this.#personChanged(id),
    readAgain: () => this.#readAll(),
    held: () => this.update(),
  });

  constructor(given) {
    super(given);
    this.groups.idOf = keyOf;
  }

  start() {
    this.#readAll();
    this.queue.start();
  }

  stop() {
    clearTimeout(this.#claiming);
    this.queue.stop();
    super.stop();
  }

  template() {
    return html`${moderationTabs()}
      <h1>Reports</h1>
      <p>${this.shortcuts.button()}</p>
      ${this.numbers.template()}
      <ul class="rows" aria-label="What waits" @keydown=${this.shortcuts.onKey} @focusin=${(event) => this.#focused(event)}>
        ${repeat(this.groups.items, keyOf, (group) => this.#group(group))}
      </ul>
      <div class="acts">
        ${this.acts.template()}
        ${this.#resolved.length
          ? html`<button class="button small" @click=${() => this.#undo()}>Undo</button>`
          : nothing}
      </div>
      ${this.groups.foot("Nothing is reported.")} ${this.hiding.template()} ${this.shortcuts.template()}`;
  }

  // What changes by itself

  /** Reads a group again; once more afterwards, if it changes meanwhile. */
  async #changed(changed) {
    const key = keyOf(changed);
    for (const since of this.#changedSince) since.set(key, changed);
    if (this.#reading.has(key)) {
      this.#reading.set(key, true);
      return;
    }
    do {
      this.#reading.set(key, false);
      try {
        this.#put(await api.get(pathOf(changed), { signal: this.signal }));
      } catch (error) {
        if (Problem.of(error).status === 404) this.groups.remove(changed);
      }
    } while (this.#reading.get(key) && !this.isLeft);
    this.#reading.delete(key);
    openReports.ask();
    this.update();
  }

  /** What was done before to the person is a part of each group. */
  #personChanged(id) {
    openReports.ask();
    for (const group of this.groups.items) if (group.person.id === id) this.#changed(group);
  }

  /** Puts a group where it belongs, unless that is on a page that is not loaded yet. */
  #put(group) {
    this.groups.remove(group);
    const { items } = this.groups;
    const at = items.findIndex((one) => isWorse(group, one));
    if (at < 0 && this.groups.hasMore) return;
    this.groups.items = at < 0 ? [...items, group] : [...items.slice(0, at), group, ...items.slice(at)];
  }

  async #readAll() {
    openReports.ask();
    const changed = new Map();
    this.#changedSince.add(changed);
    await this.groups.loadPages(this.groups.pages);
    this.#changedSince.delete(changed);
    // The answer may be older than these changes.
    for (const group of changed.values()) this.#changed(group);
  }

  #focused({ target }) {
    clearTimeout(this.#claiming);
    const row = target.closest(".report-group");
    this.#claiming = setTimeout(() => this.#withGroup(row, (group) => this.queue.claim(group), true), STAYS_MS);
  }

  /** Calls `act` with the group of a row; not if another moderator holds it, unless `isHeldToo`. */
  #withGroup(row, act, isHeldToo = false) {
    const group = row && this.groups.items.find((one) => keyOf(one) === row.dataset.key);
    if (group && (isHeldToo || !this.queue.holder(group))) act(group);
  }

  // What is shown

  #group(group) {
    const { kind, id, entries, size, listing } = group;
    const holder = this.queue.holder(group);
    return html`<li class="report-group" data-group=${`${kind === "person" ? "user" : kind} ${id}`} data-key=${keyOf(group)} tabindex="-1" aria-label=${`${isolated(kind === "person" ? nameOf(group.person) : listing.title)}: ${count(size, "report", "reports")}`}>
      ${kind === "person" ? this.#person(group) : this.#car(listing)} ${this.#before(group)}
      <ul class="reports">
        ${entries.map((entry) => queueEntry(entry, isHeld(entry) ? this.#decisions(group, entry) : this.#around(entry)))}
      </ul>
      ${size > entries.length ? html`<p class="quiet">And ${count(size - entries.length, "older one", "older ones")}.</p>` : nothing}
      ${holder ? this.#held(group, holder) : this.#buttons(group)}
    </li>`;
  }

  #held(group, { name }) {
    return html`<div class="row-buttons">
      <p class="quiet" role="status"><bdi translate="no">${name}</bdi> is looking at this.</p>
      <button class="button small" @click=${() => this.queue.claim(group, { take: true })}>Take over</button>
    </div>`;
  }

  #buttons(group) {
    const { kind, listing, person, size, entries } = group;
    return html`<div class="row-buttons">
      ${kind === "person" || listing.trashed ? nothing : this.#hideButton(listing)}
      <a class="button small" href=${`/moderation/people/${person.id}`}>Warn or suspend</a>
      ${entries.every(isHeld)
        ? nothing
        : html`<button class="button small primary" @click=${() => this.#resolve(group)}>
            ${size > 1 ? `Resolve all ${size}` : "Resolved"}
          </button>`}
    </div>`;
  }

  #person({ person }) {
    return html`<p class="report-subject">
      <a href=${`/?seller_id=${person.id}&status=any`}><bdi translate="no">${nameOf(person)}</bdi></a> <span class="quiet">(a person)</span>
    </p>`;
  }

  #car(listing) {
    return html`<div class="report-subject">
      ${listing.trashed ? html`<bdi>${listing.title}</bdi> <span class="quiet">(in the trash)</span>` : carInBrief(listing)}
      ${listing.hidden ? html`<span class="flag">Hidden</span>` : nothing}
    </div>`;
  }

  /** What was done before to the person. */
  #before({ person, done, deeds }) {
    const counted = Object.entries(done).filter(([, number]) => number);
    if (!counted.length) return nothing;
    const words = counted.map(([deed, number]) => count(number, ...(DEEDS[deed] ?? [deed, deed]))).join(", ");
    return html`<details class="done-before">
      <summary><bdi translate="no">${nameOf(person)}</bdi> before: ${words}</summary>
      <ul>
        ${deeds.map(
          ({ action, reason, by, created_at: at }) =>
            html`<li>
              ${DEEDS[action]?.[0] ?? action}, <bdi translate="no">${nameOf(by)}</bdi>, ${ago(at)}${reason
                ? html`: <bdi class="user-text">${reason}</bdi>`
                : nothing}
            </li>`,
        )}
      </ul>
    </details>`;
  }

  #hideButton(listing) {
    // The same button, so that it keeps the focus.
    const press = () => (listing.hidden ? this.#show(listing) : this.hiding.open(listing));
    return html`<button class="button small" @click=${press}>${listing.hidden ? "Show again" : "Hide"}</button>`;
  }

  /** What a moderator decides about held messages, unless another one looks at them. */
  #decisions(group, entry) {
    if (this.queue.holder(group)) return nothing;
    return html`${this.#heldPictures(group, entry)}
      <div class="row-buttons">
        <button class="button small" @click=${() => this.#decide(group, entry, "let_go")}>Deliver</button>
        <button class="button small" @click=${() => this.#decide(group, entry, "kept")}>Keep back</button>
      </div>`;
  }

  #heldPictures({ person }, { id, pictures }) {
    if (!pictures?.length) return nothing;
    if (this.#withPictures.has(id)) return picturesOf({ pictures }, nameOf(person));
    const show = () => {
      this.#withPictures.add(id);
      this.update();
    };
    return html`<p>
      <button class="button small" @click=${show}>${pictures.length > 1 ? "Show the pictures" : "Show the picture"}</button>
      <span class="quiet small-text">Each look is in the audit log.</span>
    </p>`;
  }

  #around(entry) {
    if (!entry.message_id) return nothing;
    const found = this.#messages.get(entry.id);
    if (found instanceof Problem) return html`<p class="fault" role="alert">${found.message}</p>`;
    if (found) return reportedMessages(found);
    return html`<p>
      <button class="button small" @click=${() => this.#look(entry)}>Show the messages around it</button>
      <span class="quiet small-text">Each look is in the audit log.</span>
    </p>`;
  }

  // What moderators do

  async #look({ id }) {
    try {
      this.#messages.set(id, await api.get(`/api/reports/${id}/messages`, { signal: this.signal }));
    } catch (error) {
      this.#messages.set(id, Problem.of(error));
    }
    this.update();
  }

  /**
   * Decides about the held messages of a group as they are shown: what was held later waits on. If another moderator has decided
   * before, that stays.
   */
  async #decide(group, { id, newest_id: upTo }, decision) {
    const next = rowAfter(group);
    let decided = null;
    await this.acts.do(
      async () => {
        ({ decision: decided } = await api.put(`/api/holds/${id}/decision`, { decision, up_to: upTo }));
        await this.#changed(group);
      },
      () => {
        const done = decided === "let_go" ? "delivered" : "kept back";
        return decided === decision ? `The messages are ${done}.` : `Another moderator was faster: the messages are ${done}.`;
      },
    );
    if (!this.groups.items.some((one) => keyOf(one) === keyOf(group))) next?.focus();
  }

  #decideAll(group, decision) {
    for (const entry of group.entries.filter(isHeld)) this.#decide(group, entry, decision);
  }

  #lookAtAll({ entries }) {
    for (const entry of entries) if (entry.message_id && !this.#messages.has(entry.id)) this.#look(entry);
  }

  #hideOrShow({ kind, listing }) {
    if (kind === "person" || listing.trashed) return;
    if (listing.hidden) this.#show(listing);
    else this.hiding.open(listing);
  }

  async #show(listing) {
    await this.acts.do(async () => {
      await api.delete(`/api/listings/${listing.id}/hidden`);
      await this.#changed({ kind: "listing", id: listing.id });
    }, "The listing is shown again.");
  }

  /** Resolves all of a group. What is held is then kept back; where nothing else waits, that has to be decided by its own button. */
  async #resolve(group) {
    if (group.entries.every(isHeld)) return;
    this.#resolved = [];
    const next = rowAfter(group);
    await this.acts.do(async () => {
      const { report_ids: reports, finding_ids: findings } = await api.put(`${pathOf(group)}/resolved`, { up_to: group.newest_at });
      this.#resolved = [...reports.map((id) => `/api/reports/${id}`), ...findings.map((id) => `/api/findings/${id}`)];
      this.groups.remove(group);
    }, `${count(group.size, "report is resolved.", "reports are resolved.")}${group.entries.some(isHeld) ? " What was held is kept back." : ""}`);
    next?.focus();
    openReports.ask();
  }

  async #undo() {
    const paths = this.#resolved;
    if (!paths.length) return;
    this.#resolved = [];
    await this.acts.do(async () => {
      for (const path of paths) await api.delete(`${path}/resolved`);
      await this.#readAll();
    }, count(paths.length, "report is open again.", "reports are open again."));
    openReports.ask();
  }
}

const isHeld = ({ kind }) => kind === "held_messages";

/** The row to which the focus goes if it is in the group, and the group vanishes; null if it is elsewhere. */
function rowAfter(group) {
  const row = document.querySelector(`[data-key="${keyOf(group)}"]`);
  return row?.contains(document.activeElement) ? (row.nextElementSibling ?? row.previousElementSibling) : null;
}

/** True if the first group belongs above the second. */
function isWorse(one, other) {
  return one.weight !== other.weight ? one.weight > other.weight : one.since < other.since;
}
