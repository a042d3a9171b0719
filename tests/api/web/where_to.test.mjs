// A link to the page leads to no other site, and to no other route of the API than the one that it names.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.location = { origin: "https://shop.example" };
const { idIn, whereTo } = await import("../../../api/web/where_to.js");

const query = (name, value) => new URLSearchParams([[name, value]]);

test("an address of the page is kept, with its query", () => {
  for (const next of ["/", "/messages/7", "/?q=a%2Fb&page=2", "/listings/1/edit"]) {
    assert.equal(whereTo(query("next", next)), next);
  }
  assert.equal(whereTo(new URLSearchParams()), "/");
  // The page writes whole paths.
  assert.equal(whereTo(query("next", "messages")), "/");
});

test("the address of another site becomes the first page", () => {
  const others = ["//evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example", "https://evil.example/"];
  others.push("\\\\evil.example", "/\\evil.example", "/.//", "///evil.example", "javascript:alert(1)", "https://[", "http://shop.example/a");
  others.push("/%2e//evil.example", "/./\\evil.example", "https://shop.example//evil.example", "\t//evil.example", "\\evil.example", "/\t/[");
  for (const next of others) assert.equal(whereTo(query("next", next)), "/", next);
});

test("after a log-in the page goes to no form for it, and to nothing that is for programs", () => {
  for (const next of ["/login", "/login?next=/login", "/login/", "/LOGIN", "/register", "/api/me", "/api", "/web/x/main.js", "/metrics"]) {
    assert.equal(whereTo(query("next", next)), "/", next);
  }
  assert.equal(whereTo(query("next", "/?q=/login")), "/?q=/login");
});

test("an id is digits", () => {
  assert.equal(idIn(query("listing", "12"), "listing"), "12");
  for (const text of ["", "../../api/me", "1/../2", "1?x", "-1", "1.0", " 1", "1\n", "0", "01", "1e3", "١", "9".repeat(20)]) {
    assert.equal(idIn(query("listing", text), "listing"), null, text);
  }
  assert.equal(idIn(new URLSearchParams(), "listing"), null);
});
