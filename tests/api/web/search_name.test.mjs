// Tests the names that the page gives to saved searches.

import assert from "node:assert/strict";
import { test } from "node:test";
import { partsOf, searchName } from "../../../api/web/search_name.js";

const CATEGORIES = [{ id: 3, name: "Trucks" }];

test("a name has what the search asks", () => {
  const query = { q: "camry", make: "Toyota", model: "Camry", category_id: "3", year_min: "2010", year_max: "2015" };
  assert.equal(searchName(query, CATEGORIES, 100), "camry, Toyota, Camry, Trucks, 2010 to 2015");
  assert.equal(searchName({ price_min: "5000", mileage_max: "90000", status: "sold", sort: "price" }, [], 100), "from $5,000, up to 90,000 mi, sold");
});

test("a name says which fuels and the like will do, and how near the car has to be", () => {
  const query = { fuel: "diesel,plug_in_hybrid", body: "estate", near: "Berlin", within: "30km" };
  assert.equal(searchName(query, [], 100), "Diesel or Plug-in hybrid, Estate, within 30km of Berlin");
  assert.equal(searchName({ near: "10115" }, [], 100), "near 10115");
});

test("a search for everything has a name too", () => {
  assert.equal(searchName({}, CATEGORIES, 100), "All cars");
  assert.equal(searchName({ category_id: "99", status: "any" }, CATEGORIES, 100), "sold ones too");
});

test("a long name is cut between characters", () => {
  const name = searchName({ q: "🚗".repeat(200) }, [], 100);
  assert.equal(name, "🚗".repeat(99) + "…");
  assert.equal([...name].length, 100);
});

test("each part says which parameters to take away", () => {
  const query = { q: "golf", verbatim: "true", price_min: "5", price_max: "9", near: "Ulm", within: "30km", sort: "price" };
  assert.deepEqual(partsOf(query, []), [
    { names: ["q", "verbatim"], words: "golf" },
    { names: ["price_min", "price_max"], words: "$5 to $9" },
    { names: ["near", "within"], words: "within 30km of Ulm" },
  ]);
  assert.deepEqual(partsOf({ price_max: "cheap", owners_max: "1", engine_cc_max: "2000" }, []).map(({ words }) => words), [
    "up to cheap",
    "up to 2,000 cc",
    "at most 1 owner",
  ]);
});
