// Whole numbers as people write them: "12,500", "12 500 €", "$9,500.00", "12.500", "١٢٬٥٠٠". Pure.
//
// api/pages/numbers.py reads the same texts in the same way.

const SIGN = "[-+\\u2212]";
/** What may stand around any number: signs and codes of currencies, and words for the usual ones. */
const MONEY =
  "(?:\\p{L}{0,3}\\p{Sc}|\\p{Sc}\\p{L}{0,3}|(?:us|ca|au|nz|hk|sg)d|chf|fr\\.|eur|euros?|gbp|pounds?|dollars?|jpy|inr|rs\\.?|" +
  "kr\\.?|sek|nok|dkk|pln|zł|czk|kč|huf|ft|brl|mxn|円|元)";
const UNITS = {
  mi: "(?:mi\\.?|miles?)",
  km: "(?:km|kms|kilomet(?:er|re)s?)",
  kW: "kw",
  cc: "(?:ccm?|cm3)",
};
/** Digits, and what people put between them: blanks, dots, commas, apostrophes, and the signs of Arabic. */
const BODY = "\\d(?:[\\d ,.'_٬٫]*\\d)?";
/** ",-" and the like stand for no cents. */
const NO_CENTS = "(?:[,.:]-{1,2}|/-|[.,])?";

/**
 * Returns the number that a text means, rounded to a whole one; null if it means none. `unit` is the one that the
 * field asks for, such as "mi", "km", "kW" or "cc": it may stand behind the number, and others may not.
 *
 * Three digits behind a dot or a comma are thousands in every locale, because no field asks for thousandths. Only
 * before a "k" either may be meant, as in "1.250k"; then `locale` decides.
 */
export function readNumber(text, { locale = "en-US", unit = "" } = {}) {
  const plain = withPlainSigns(text);
  const found = patternFor(unit).exec(plain);
  if (!found) return null;
  const { sign, other, body, thousands } = found.groups;
  if (sign && other) return null;
  const number = read(body, thousands ? decimalSignOf(locale) : null);
  if (number === null) return null;
  const whole = Math.round(number * (thousands ? 1000 : 1));
  return /[-\u2212]/.test(sign ?? other ?? "") && whole ? -whole : whole;
}

/** Returns the text with ASCII digits and one kind of blank, dash and apostrophe, without invisible characters. */
function withPlainSigns(text) {
  return text
    .normalize("NFKC")
    .replaceAll(/\p{Cf}/gu, "")
    .replaceAll(/\p{Nd}/gu, digit)
    .replaceAll(/\s+/gu, " ")
    .replaceAll(/[’‘ʼ´`]/gu, "'")
    .replaceAll(/[–—‒]/gu, "-")
    .replaceAll("،", ",")
    .trim();
}

/** Digits of each script stand one behind the other in Unicode, from 0 to 9. */
function digit(one) {
  let before = one.codePointAt(0) - 1;
  while (/\p{Nd}/u.test(String.fromCodePoint(before))) before -= 1;
  return String(one.codePointAt(0) - before - 1).at(-1);
}

const patterns = new Map();

function patternFor(unit) {
  if (!patterns.has(unit)) {
    const units = UNITS[unit];
    const behind = units ? `(?:${units}|${MONEY})` : MONEY;
    const pattern =
      `^(?<sign>${SIGN})?(?:${MONEY} ?)?(?<other>${SIGN})?(?<body>${BODY})${NO_CENTS}` +
      `(?: ?(?<thousands>k)(?![a-z]))?(?: ?${behind})?${NO_CENTS}$`;
    patterns.set(unit, new RegExp(pattern, "iu"));
  }
  return patterns.get(unit);
}

/** `decimalSign` decides what a single dot or comma before three digits is; null: it is between thousands. */
function read(body, decimalSign) {
  const isGrouped = /[ '_٬]/.test(body);
  const kinds = [".", ",", "٫"].filter((kind) => body.includes(kind));
  let decimal = null;
  if (kinds.includes("٫")) {
    decimal = "٫";
  } else if (kinds.length === 2) {
    decimal = body.lastIndexOf(".") > body.lastIndexOf(",") ? "." : ",";
  } else if (kinds.length === 1 && body.split(kinds[0]).length === 2) {
    const isOpen = /^[1-9]\d{0,2}[.,]\d{3}$/.test(body);
    if (isGrouped || (isOpen ? decimalSign === kinds[0] : true)) [decimal] = kinds;
  }
  const parts = decimal ? body.split(decimal) : [body];
  if (parts.length > 2) return null;
  const [groups, fraction = ""] = parts;
  const whole = ungrouped(groups);
  const longest = decimalSign ? 3 : 2;
  if (whole === null || !/^\d*$/.test(fraction) || fraction.length > longest) return null;
  return Number(`${whole}.${fraction || 0}`);
}

/** Returns the digits of "1,234,567" or, as in India, "12,34,567"; null if the groups are no thousands. */
function ungrouped(text) {
  if (/^\d+$/.test(text)) return text;
  const isRight = /^\d{1,3}([ '_٬.,])\d{3}(?:\1\d{3})*$/.test(text) || /^\d{1,2},(?:\d{2},)*\d{3}$/.test(text);
  return isRight ? text.replaceAll(/\D/g, "") : null;
}

function decimalSignOf(locale) {
  return new Intl.NumberFormat(locale).formatToParts(0.5).find(({ type }) => type === "decimal").value;
}
