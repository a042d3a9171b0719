// Tests the suggestions of the search field, with an API and a clock that each test controls.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Suggestions } from "../../../api/web/suggestions.js";
import { Clock, settled } from "../../clients/clock.mjs";

const TOYOTA = { kind: "make", text: "Toyota" };
const COROLLA = { kind: "model", text: "Toyota Corolla" };

let clock, asked, taken, said, drawn, answers, box;

beforeEach(() => {
  clock = Clock.install();
  [asked, taken, said, drawn] = [[], [], [], 0];
  answers = async () => [TOYOTA, COROLLA];
  box = new Suggestions({
    find: (text, signal) => {
      asked.push([text, signal]);
      return answers(text);
    },
    take: (text) => taken.push(text),
    changed: () => (drawn += 1),
    say: (text) => said.push(text),
  });
});

async function type(text) {
  box.typed(text);
  await clock.pass(1_000);
  await settled();
}

test("the suggestions for what was typed are asked for once, after a short pause", async () => {
  for (const text of ["t", "to", "toy"]) box.typed(text);
  await clock.pass(1_000);
  await settled();
  assert.deepEqual(asked.map(([text]) => text), ["toy"]);
  assert.deepEqual(box.items, [TOYOTA, COROLLA]);
  assert.equal(box.text, "toy");
  assert.deepEqual(said, ["2 suggestions"]);
});

test("an answer that comes after the next letter is not shown", async () => {
  let late;
  answers = () => new Promise((resolve) => (late = resolve));
  await type("t");
  const [[, signal]] = asked;
  answers = async () => [COROLLA];
  await type("co");
  assert.equal(signal.aborted, true);
  late([TOYOTA]);
  await settled();
  assert.deepEqual(box.items, [COROLLA]);
});

test("arrow keys go through the suggestions and back to what was typed, and Enter takes one", async () => {
  await type("to");
  const places = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"].map((key) => [box.pressed(key), box.active]);
  assert.deepEqual(places, [[true, 0], [true, 1], [true, -1], [true, 1]]);
  assert.equal(box.pressed("Enter"), true);
  assert.deepEqual(taken, ["Toyota Corolla"]);
  assert.equal(box.isOpen, false);
  assert.equal(box.text, null);
});

test("Enter without a chosen suggestion searches for what was typed, and other keys type", async () => {
  await type("to");
  assert.deepEqual(["Enter", "x", "ArrowLeft", "Tab"].map((key) => box.pressed(key)), [false, false, false, false]);
  assert.deepEqual(taken, []);
});

test("Escape closes the list and keeps what was typed; the next one is the browser's", async () => {
  await type("to");
  assert.equal(box.pressed("Escape"), true);
  assert.equal(box.isOpen, false);
  assert.equal(box.text, "to");
  assert.equal(box.pressed("Escape"), false);
  assert.equal(box.pressed("ArrowDown"), false);
});

test("without text, without suggestions and without an API there is no list", async () => {
  await type("to");
  await type("  ");
  assert.equal(box.isOpen, false);
  assert.equal(asked.length, 1);
  answers = async () => [];
  await type("xyz");
  assert.equal(box.isOpen, false);
  answers = async () => Promise.reject(new Error("away"));
  await type("to");
  assert.equal(box.isOpen, false);
  assert.deepEqual(said, ["2 suggestions"]);
});

test("a search that is sent before the suggestions come leaves no list behind", async () => {
  box.typed("to");
  box.forget();
  await clock.pass(1_000);
  await settled();
  assert.deepEqual(asked, []);
  assert.equal(box.isOpen, false);
});
