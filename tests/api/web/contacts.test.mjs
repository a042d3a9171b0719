// Tests which texts the page takes for ones with a link, a phone number or a mail address.

import assert from "node:assert/strict";
import { test } from "node:test";
import { contactsIn } from "../../../api/web/contacts.js";

const FOUND = {
  link: [
    "Look at https://example.com/car",
    "HTTP://EXAMPLE.COM",
    "hxxps://example.com",
    "https : // example.com",
    "www.example.com",
    "go to example.com",
    "example.co.uk has it",
    "cars(dot)com",
    "cars [dot] com",
    "cars dot com",
    "cars . com",
    "t.me/somebody",
    "wa.me/1",
    "ex\u200bample.c\u200dom",
    "ｅｘａｍｐｌｅ．ｃｏｍ",
    "example。com",
    "еxample.соm",
    "http://10.0.0.1/x",
    "xn--e1afmkfd.xn--p1ai",
    "c a r s.com",
    "𝐞𝐱𝐚𝐦𝐩𝐥𝐞.𝐜𝐨𝐦",
    "Cheap watches at www.example.com",
    "Look at example.com, or write to ann@example.com",
    "I am at example dot com",
  ],
  phone: [
    "Call 555 010 1234",
    "+1 (555) 010-1234",
    "0049 30 1234567",
    "555.010.1234",
    "5 5 5 0 1 0 1 2 3 4",
    "5-5-5-0-1-0-1",
    "555\u200b010\u200b1234",
    "٥٥٥٠١٠١٢٣٤",
    "५५५०१०१२३४",
    "５５５０１０１２３４",
    "𝟓𝟓𝟓 𝟎𝟏𝟎 𝟏𝟐𝟑𝟒",
    "555 – 010 – 1234",
    "five five five zero one zero one two three four",
    "555 O1O 1234",
    "555 oh one oh 1234",
    "⑤⑤⑤⓪①⓪①②③④",
    "555*010*1234",
    "5️⃣5️⃣5️⃣0️⃣1️⃣0️⃣1️⃣2️⃣",
    "Call 06.12.34.56.78",
    "06/12/34/56/78",
    "12.34.56.78",
    "044.12.34.567",
    "$5550101234",
    "5550101234 mi",
    "5\u2800550101234",
  ],
  mail: [
    "ann@example.com",
    "ANN @ EXAMPLE . COM",
    "ann(at)example.com",
    "ann [at] example [dot] com",
    "ann {at} example dot org",
    "ann at example dot com",
    "ann at gmail",
    "ann@gmail",
    "ann\u200b@\u200bexample.com",
    "ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "a n n @ g m a i l . c o m",
    "ann@exämple.de",
    "ann аt gmаil dot com",
    "ann<at>example<dot>com",
  ],
};

const NONE = [
  "",
  "Is the car still there?",
  "Is the 2012 Corolla with 145,000 miles still there?",
  "I offer 12 500 €, or 13.000 if it has new tyres.",
  "I can come at 5.30 or at 6.",
  "I was there on 2026-11-26, and on 26.11.2026.",
  "Its VIN is 1HGBH41JXMN109186.",
  "Let us meet at noon. See you!",
  "One or two of the four doors have a scratch.",
  "$1 250 000 for a 1962 car",
  "Did it have 2 or 3 owners? 1.8 litres, 103 kW?",
  "It is nice.It is red.",
  "Can you do 9000? It needs 4 tyres, at 120 each.",
  "12 000 km a year, 2012 to 2024",
  "Is it blue. Me too, I look for one.",
];

for (const [kind, texts] of Object.entries(FOUND)) {
  test(`a ${kind} is found however it is spelled`, () => {
    assert.deepEqual(texts.filter((text) => !contactsIn(text).includes(kind)), []);
  });
}

test("an ordinary question about a car has no contact data", () => {
  assert.deepEqual(NONE.filter((text) => contactsIn(text).length), []);
});

test("a mail address is not also a link", () => {
  assert.deepEqual(contactsIn("ann@example.com"), ["mail"]);
  assert.deepEqual(contactsIn("ann@example.com or www.example.com, 555 010 1234"), ["link", "phone", "mail"]);
});

test("a long text takes no longer than its length", () => {
  for (const piece of ["a ", "1 ", "a.", "@ ", "at ", "a at ", "1. ", "( ", "-", "a@", "a . ", "one "]) {
    const began = process.cpuUsage();
    contactsIn(piece.repeat(4000 / piece.length));
    const { user, system } = process.cpuUsage(began);
    assert.ok(user + system < 1_000_000, `${piece}: ${user + system} us`);
  }
});
