// What may be known of a car. The form to sell one and the page of a listing are made from these.

import { miles } from "./format.js";

/** `label` and `unit` stand beside the input. `show` makes words of a value for the page; null leaves it out there. */
export const FACTS = [
  { name: "make", label: "Make" },
  { name: "model", label: "Model" },
  { name: "year", label: "Year", isNumber: true },
  { name: "mileage", label: "Mileage", unit: "miles", isNumber: true, show: miles },
  { name: "price", label: "Price", unit: "$", isNumber: true, show: null },
  { name: "location", label: "Location" },
];
