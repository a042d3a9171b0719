// One thing that waits for moderators: a report, or what the program has found. Another kind is another line of `SHOWN`.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { count, nameOf } from "../format.js";
import { carIcon } from "./icons.js";
import { ago } from "./moment.js";
import { userText } from "./user_text.js";

export const REASONS = {
  spam: "Spam",
  fraud: "Fraud",
  offensive: "Offensive",
  unrelated: "Not about the car",
  wrong_category: "Wrong category",
  sold: "Sold",
  other: "Other",
};

const SHOWN = {
  report,
  held_messages: heldMessages,
  same_picture: (entry) =>
    twoListings(entry, {
      flag: "Same picture",
      words: "This listing has a picture of an earlier listing of somebody else. If it is a copy, hide the listing; if not, resolve this.",
    }),
  same_vin: (entry) =>
    twoListings(entry, {
      flag: "Same VIN",
      words: "This listing has the VIN of an earlier listing of somebody else. If this person does not have the car, hide the listing; if not, resolve this.",
    }),
};

/** `below` is what follows: the messages around a reported one, or what can be decided; nothing for others. */
export function queueEntry(entry, below) {
  return html`<li data-report=${entry.kind === "report" ? entry.id : nothing} data-entry=${`${entry.kind} ${entry.id}`}>
    ${(SHOWN[entry.kind] ?? report)(entry)}
    <p class="quiet small-text">
      ${entry.by ? html`<bdi translate="no">${nameOf(entry.by)}</bdi>` : "Found by Daveslist"}, ${ago(entry.created_at)}
    </p>
    ${below}
  </li>`;
}

function report({ reason, text, quote, message_id: messageId, reply_id: replyId, listing_id: listingId, listing_title: title }) {
  const what = messageId ? "A message:" : replyId ? "A reply:" : null;
  return html`<p>
      <span class="flag">${REASONS[reason] ?? reason}</span>
      ${what ? html`<span class="quiet">${what}</span>` : nothing}
      ${listingId ? html`<a href=${`/listings/${listingId}`}><bdi>${title}</bdi></a>` : nothing}
    </p>
    ${quote ? html`<blockquote class="user-text" dir="auto">${userText(quote)}</blockquote>` : nothing}
    ${text ? html`<p class="user-text" dir="auto">${text}</p>` : nothing}`;
}

/** The latest texts of messages that wait for a decision, and to how many people they are. */
function heldMessages({ texts, quote, people }) {
  return html`<p><span class="flag">Held</span> Nearly the same message to ${count(people, "more person, who has", "more people, who have")} not got it:</p>
    ${(texts ?? [quote])
      .filter((text) => text)
      .map((text) => html`<blockquote class="user-text" dir="auto">${text}</blockquote>`)}`;
}

function twoListings({ finding }, { flag, words }) {
  const { listing, person, earlier_listing: earlier, earlier_person: earlierPerson } = finding;
  return html`<p><span class="flag">${flag}</span> ${words}</p>
    <div class="two-listings">
      ${oneListing("This listing", listing, person, finding.picture_url)}
      ${oneListing("The earlier one", earlier, earlierPerson, finding.earlier_picture_url)}
    </div>`;
}

/** `url` is the picture that both have; without one, the listing is shown with its first. */
function oneListing(words, listing, person, url) {
  const { id, title, thumbnail_url: first, for_anyone: isForAnyone, trashed, hidden } = listing;
  const address = url ?? first;
  const shown = !address
    ? html`<span class="no-picture">${carIcon}</span>`
    : isForAnyone
      ? html`<img src=${address} alt="" />`
      : html`<guarded-picture src=${address} alt=""></guarded-picture>`;
  const name = html`<bdi>${title}</bdi>`;
  return html`<figure>
    <p class="quiet small-text">${words}</p>
    ${trashed ? shown : html`<a href=${`/listings/${id}`}>${shown} ${name}</a>`}
    <figcaption class="small-text">
      ${trashed ? html`${name} <span class="quiet">(in the trash)</span>` : nothing}
      ${hidden ? html`<span class="flag">Hidden</span>` : nothing}
      by <a href=${`/moderation/people/${person.id}`}><bdi translate="no">${nameOf(person)}</bdi></a>
    </figcaption>
  </figure>`;
}
