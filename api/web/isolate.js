// People's text inside a sentence: a name in Arabic, or one with a character that turns the direction of text round, must
// not turn the words around it. Where there can be elements, <bdi> does this; here it is done in plain text.

/** Letters that are written from right to left, and the characters that control directions. */
const TURNS =
  /[\u0590-\u08ff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Returns the text between the characters that isolate it (Unicode, UAX 9: FSI and PDI), if it could turn others round. */
export function isolated(text) {
  return TURNS.test(text) ? `\u2068${balanced(text)}\u2069` : text;
}

/** Returns the text with as many ends of isolates as beginnings, so that nothing in it ends what it is put into. */
function balanced(text) {
  let open = 0;
  const kept = text.replaceAll(/[\u2066-\u2069]/g, (one) => {
    if (one !== "\u2069") open += 1;
    else if (open === 0) return "";
    else open -= 1;
    return one;
  });
  return kept + "\u2069".repeat(open);
}
