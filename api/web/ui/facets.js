// Filters with counts: a list to choose one value from, and boxes to tick several.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { whole } from "../format.js";
import { isolated } from "../isolate.js";
import { select } from "./form.js";

/** A number that may be the least there is, as people read it: "1,234+". */
export const counted = (count, isAtLeast) => `${whole.format(count)}${isAtLeast ? "+" : ""}`;

/** A select whose options have their counts. `facet` is the server's answer, or undefined while there is none. */
export function countedSelect(form, { facet, all, words = (value) => value, ...more }) {
  const values = (facet?.values ?? []).map(({ value, count }) => [value, `${isolated(words(value))} (${counted(count, facet.at_least)})`]);
  const asked = more.value;
  // What was asked for stays to be seen, also if no car has it or the case is another one.
  if (asked && !values.some(([value]) => value === asked)) values.unshift([asked, words(asked)]);
  return select(form, { ...more, options: [["", all], ...values] });
}

/** Boxes for the values of a facet, closed unless some are ticked. `asked` is what the address has of it. */
export function boxes({ name, label, facet, asked = "", words }) {
  const ticked = new Set(asked.split(",").filter(Boolean));
  const counts = new Map((facet?.values ?? []).map(({ value, count }) => [value, counted(count, facet.at_least)]));
  const values = [...new Set([...counts.keys(), ...ticked])];
  if (!values.length) return nothing;
  return html`<details class="facet" ?open=${ticked.size > 0}>
    <summary>${label}</summary>
    <fieldset>
      <legend class="for-readers">${label}</legend>
      ${values.map(
        (value) =>
          html`<label class="box">
            <input type="checkbox" name=${name} value=${value} ?checked=${ticked.has(value)} />
            <span>${words(value)}</span>
            <span class="count">${counts.get(value) ?? "0"}<span class="for-readers"> cars</span></span>
          </label>`,
      )}
    </fieldset>
  </details>`;
}
