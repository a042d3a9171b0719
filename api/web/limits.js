// The limits that the server checks. The server puts them into the document; no module of the page copies them.

const { forms, ...others } = JSON.parse(
  // Tests load modules without a document.
  globalThis.document?.querySelector('meta[name="limits"]')?.content ??
    '{"forms": {}, "currency": "USD", "distance_unit": "mi", "distances": []}',
);

/**
 * {pictures, picture_bytes, picture_pixels, picture_side, page_items, counted_of_a_search, erase_after_days, own_trash_days,
 * currency, distance_unit, distances, mail}: `mail` says whether the server sends mail.
 */
export const limits = others;

/** Returns the limits of a request's fields as attributes of inputs: `limitsOf("ReplyBody").text.maxlength`. */
export function limitsOf(request) {
  return forms[request] ?? {};
}
