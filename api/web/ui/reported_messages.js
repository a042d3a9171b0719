// A reported message with those around it, for moderators. Each look is in the audit log. They may see no other pictures than
// those of the reported one.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { nameOf } from "../format.js";
import { picturesOf } from "./message_pictures.js";
import { exactly } from "./moment.js";
import { userText } from "./user_text.js";

/** `found` is the answer of `/api/reports/{id}/messages`. */
export function reportedMessages({ message_id: reportedId, people, data }) {
  const names = new Map(people.map((one) => [String(one.id), nameOf(one)]));
  return html`<ol class="reported-messages" aria-label="The message with those around it">
    ${data.map(
      (one) =>
        html`<li aria-current=${one.id === reportedId ? "true" : nothing}>
          <p class="quiet small-text"><bdi translate="no">${names.get(one.from)}</bdi>, ${exactly(one.inserted_at)}</p>
          ${one.deleted_at
            ? html`<p class="quiet">Message deleted</p>`
            : html`${one.id === reportedId ? picturesOf(one, names.get(one.from)) : nothing}
                <p class="user-text" dir="auto">${userText(one.message)}</p>`}
        </li>`,
    )}
  </ol>`;
}
