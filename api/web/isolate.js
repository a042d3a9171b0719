// Keeps people's text from turning the words around it round: a name in Arabic, or one with a character that controls
// directions. Where there can be elements, <bdi> isolates it; in plain text two characters do (Unicode, UAX 9). Both end where
// the text itself ends an isolate or begins a paragraph, so all text that comes from the server is contained first.

/** Letters that are written from right to left, and the characters that control directions. */
const TURNS =
  /[\u0590-\u08ff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const PARAGRAPHS = /[\u2029\x1c-\x1e\x85]/g;
const ESCAPES = /[\u2066-\u2069\u2029\x1c-\x1e\x85]/;
/** The same in JSON, where they may also be written as escapes. */
const ESCAPES_IN_JSON = /[\u2066-\u2069\u2029\x85]|\\u(?:206[6-9]|2029|001[c-e]|0085)/i;

/** Returns the text between the characters that isolate it (FSI and PDI), if it could turn others round. */
export function isolated(text) {
  return TURNS.test(text) ? `\u2068${contained(text)}\u2069` : text;
}

/** Returns the text with as many ends of isolates as beginnings and in one paragraph, so that nothing in it ends what it is put into. */
export function contained(text) {
  if (!ESCAPES.test(text)) return text;
  let open = 0;
  const kept = text.replaceAll(PARAGRAPHS, " ").replaceAll(/[\u2066-\u2069]/g, (one) => {
    if (one !== "\u2069") open += 1;
    else if (open === 0) return "";
    else open -= 1;
    return one;
  });
  return kept + "\u2069".repeat(open);
}

/** Parses JSON from the server, with each text contained. */
export function parsed(json) {
  if (!ESCAPES_IN_JSON.test(json)) return JSON.parse(json);
  return JSON.parse(json, (_, value) => (typeof value === "string" ? contained(value) : value));
}
