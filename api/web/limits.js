// The limits that the server checks, as the document has them: copied nowhere.

const { forms, ...others } = JSON.parse(document.querySelector('meta[name="limits"]').content);

/** {pictures, picture_bytes, page_items} */
export const limits = others;

/** What a field of a request may hold, as attributes of its input: `limitsOf("ReplyBody").text.maxlength`. */
export function limitsOf(request) {
  return forms[request] ?? {};
}
