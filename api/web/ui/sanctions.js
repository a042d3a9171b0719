// What was done to somebody, in words and as a part of the page; also what was said against it.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { ago, exactly } from "./moment.js";

export const KINDS = { warning: "Warning", suspension: "Suspension", ban: "Ban", hiding: "Hidden listing" };
export const OUTCOMES = { kept: "It stays as it is.", lifted: "It is lifted." };

const quoted = (text) => html`<blockquote class="user-text" dir="auto">${text}</blockquote>`;

/** The kind, its time and its reason. `by` is there for moderators only. */
export function sanctionText({ kind, listing, reason, given_at: givenAt, until, ended_at: endedAt, by, read_at: readAt }) {
  return html`<p>
      <span class="flag">${KINDS[kind] ?? kind}</span>
      ${listing ? html`<a href=${`/listings/${listing.id}`}><bdi>${listing.title}</bdi></a>` : nothing}
      <span class="quiet small-text">
        ${ago(givenAt)}${by ? html`, by <bdi translate="no">${by.name}</bdi>` : nothing}${until ? html`, until ${exactly(until)}` : nothing}${endedAt
          ? html`; ended ${ago(endedAt)}`
          : nothing}${kind === "warning" && by ? (readAt ? html`; read ${ago(readAt)}` : "; not read yet") : nothing}
      </span>
    </p>
    ${reason ? quoted(reason) : html`<p class="quiet">No reason was given.</p>`}`;
}

/** What the person said against it, and what was decided. */
export function objectionText(objection) {
  if (!objection) return nothing;
  const { text, made_at: madeAt, outcome, answer, decided_at: decidedAt, decided_by: decidedBy } = objection;
  return html`<p class="quiet small-text">Objection, ${ago(madeAt)}</p>
    ${quoted(text)}
    ${outcome
      ? html`<p>
            <strong>${OUTCOMES[outcome]}</strong>
            <span class="quiet small-text">${ago(decidedAt)}${decidedBy ? html`, by <bdi translate="no">${decidedBy.name}</bdi>` : nothing}</span>
          </p>
          ${quoted(answer)}`
      : html`<p class="quiet">Nobody has decided about it yet.</p>`}`;
}
