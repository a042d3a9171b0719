// The limits that the server checks. The server puts them into the document; no module of the page copies them.

const { forms, ...others } = JSON.parse(
  // Tests load modules without a document.
  globalThis.document?.querySelector('meta[name="limits"]')?.content ??
    '{"forms": {}, "currency": "USD", "distance_unit": "mi", "distances": []}',
);

/**
 * {pictures, picture_bytes, picture_pixels, picture_side, page_items, counted_of_a_search, erase_after_days, own_trash_days,
 * new_accounts, currency, distance_unit, distances, mail, mail_folder}: `mail` says whether the server sends mail. In development it only writes
 * mails into the folder `mail_folder`. `new_accounts` is {days, listings, people}.
 */
export const limits = others;

/** Where somebody who tries the site finds the mail that they are told of; "" if it is sent to them. */
export const whereMailsAre = others.mail_folder ? ` This server writes its mails into ${others.mail_folder}.` : "";

/** Returns the limits of a request's fields as attributes of inputs: `limitsOf("ReplyBody").text.maxlength`. */
export function limitsOf(request) {
  return forms[request] ?? {};
}
