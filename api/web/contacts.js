// Finds what leads away from the site in a text: a link, a phone number or a mail address, however it is spelled.
// It decides about a warning, so it would rather find too much than too little.

const INVISIBLE = /[\p{Cf}\p{Mn}\p{Me}\u115f\u1160\u2800\u3164\uffa0]/gu;
/** Letters of other scripts that look like these. */
const LOOKALIKES = new Map(Object.entries({ а: "a", е: "e", о: "o", р: "p", с: "c", т: "t", х: "x", ѕ: "s", і: "i", ο: "o", α: "a", ԁ: "d", ո: "n", м: "m" }));
const NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TOP = "com|net|org|info|biz|io|co|app|dev|xyz|shop|site|online|store|link|live|club|top|ly|gg|tk|uk|ca|au|eu|de|ch|fr|es|nl|pl|cz|se|dk|fi|ru|ua|cn|br|mx";
/** Those that are words too: "It is nice.It is red." */
const TOP_WORDS = "me|to|at|it|in|be|no|us|is";
const DOT = String.raw`(?:\.|\s*[(\[{<*_-]\s*(?:\.|dot|punkt|punto|point)\s*[)\]}>*_-]\s*|\s+(?:dot|punkt|punto)\s+)`;
const WORD = String.raw`[\p{L}\p{N}_-]+`;
const AT_SIGN = String.raw`(?:\s*@\s*|\s*[(\[{<*_-]\s*(?:@|at|ät|a)\s*[)\]}>*_-]\s*)`;

const LINKS = [
  /\b(?:h(?:tt|xx)ps?|ftp)\s*:\s*\/\s*\//u,
  /\bwww\s*[.,]\s*[\p{L}\p{N}]/u,
  new RegExp(`${WORD}(?:${DOT}${WORD})*${DOT}(?:${TOP}|xn--[a-z0-9-]+)(?![\\p{L}\\p{N}_-])`, "u"),
  new RegExp(`${WORD}\\.(?:${TOP_WORDS})\\s*/`, "u"),
  // A full stop has no space before it.
  new RegExp(`${WORD}\\s+\\.\\s*(?:${TOP})(?![\\p{L}\\p{N}_-])`, "u"),
  /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\//u,
];
const MAILS = [
  new RegExp(`[\\p{L}\\p{N}._%+-]+${AT_SIGN}${WORD}(?:\\s*${DOT}\\s*${WORD})*\\s*${DOT}\\s*\\p{L}{2,}`, "u"),
  new RegExp(`[\\p{L}\\p{N}._%+-]+\\s+(?:at|ät|arroba)\\s+${WORD}(?:${DOT}${WORD})*${DOT}(?:${TOP})(?![\\p{L}\\p{N}])`, "u"),
  /[\p{L}\p{N}._%+-]+(?:\s*@\s*|\s+at\s+)(?:gmail|googlemail|hotmail|outlook|yahoo|icloud|proton(?:mail)?|gmx|aol)\b/u,
];
const DATES = /(?<![\d./-])\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})\b(?![./-]?\d)/gu;
/** A group of digits of a long number, or of a price. */
const PHONE = /(?<![\p{L}\p{N}])\+?\d(?:[\s().\-_/\\|*~:]{0,4}\d){6,14}(?![\p{L}\d])/u;
const MONEY = /[$€£]\s*\d[\d ,.]*|\b\d[\d ,.]*\s*(?:[$€£]|usd|eur|km|kms|mi|miles|cc)(?![\p{L}\p{N}])/gu;

/** Returns the kinds of contact data in the text: some of "link", "phone" and "mail", in this order. */
export function contactsIn(text) {
  const plain = plainly(text);
  const found = [];
  const mails = MAILS.some((one) => one.test(plain));
  // What follows the sign of a mail address is no link. What follows the word "at" may be one: "Look at example.com".
  const rest = plain.replace(new RegExp(MAILS[0], "gu"), " ");
  if (LINKS.some((one) => one.test(rest))) found.push("link");
  if (PHONE.test(inDigits(plain).replace(DATES, " x ").replace(MONEY, withoutPrice))) found.push("phone");
  if (mails) found.push("mail");
  return found;
}

/** A price of more digits may as well be a number to call. */
const withoutPrice = (price) => (price.replace(/\D/gu, "").length > 7 ? price : " x ");

/** The text in plain letters and digits, and without what nobody sees. */
function plainly(text) {
  const folded = text.normalize("NFKD").replace(INVISIBLE, "").toLowerCase();
  const letters = [...folded].map((sign) => LOOKALIKES.get(sign) ?? digitOf(sign) ?? sign).join("");
  return (
    letters
      .replace(/[。・․‧·•∙⸱]/gu, ".")
      .replace(/[‐‑‒–—―−]/gu, "-")
      // Letters with a space between each two.
      .replace(/(?<![\p{L}\p{N}])(?:\p{L} ){3,}\p{L}(?![\p{L}\p{N}])/gu, (spaced) => spaced.replaceAll(" ", ""))
  );
}

/** The ASCII digit for one of any script; null for anything else. Digits of a script follow each other, from its zero. */
function digitOf(sign) {
  if (sign < "\u0080" || !/^\p{Nd}$/u.test(sign)) return null;
  const code = sign.codePointAt(0);
  let zero = code;
  while (code - zero < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(code - zero);
}

/** The text with digits for the words and the letters that stand for them. */
function inDigits(text) {
  return text
    .replace(new RegExp(`(?<!\\p{L})(?:${NUMBERS.join("|")}|oh)(?!\\p{L})`, "gu"), (word) => String(Math.max(0, NUMBERS.indexOf(word))))
    .replace(/(?<=\d[\s().-]{0,2})o(?=[\s().-]{0,2}[\do])/gu, "0")
    .replace(/(?<=\d[\s().-]{0,2})[li](?=[\s().-]{0,2}[\dli])/gu, "1");
}
