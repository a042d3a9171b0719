// The facts about a car. The form for selling a car and the page of a listing are made from them.

import { miles } from "./format.js";

/** `label` and `unit` are shown with the input. `show` formats a value for the page; null hides it there. */
export const FACTS = [
  { name: "make", label: "Make" },
  { name: "model", label: "Model" },
  { name: "year", label: "Year", isNumber: true },
  { name: "mileage", label: "Mileage", unit: "miles", isNumber: true, show: miles },
  { name: "price", label: "Price", unit: "$", isNumber: true, show: null },
  { name: "location", label: "Location" },
];
