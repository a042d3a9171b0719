// Filters with counts: a list to choose one value from, and boxes to tick several.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
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

/**
 * Boxes for the values of a facet, closed unless some are ticked. `asked` is what the address has of it; `all` are the
 * values that there can be, which are shown while nobody has counted them.
 */
export function boxes({ name, label, facet, all, asked = "", words }) {
  const ticked = new Set(asked.split(",").filter(Boolean));
  const counts = new Map((facet?.values ?? []).map(({ value, count }) => [value, counted(count, facet.at_least)]));
  // What somebody has just ticked, or is about to, stays to be seen, also if no car has it.
  const inUse = [...document.querySelectorAll(`#filters input[name="${name}"]:is(:checked, :focus)`)].map((box) => box.value);
  const values = [...new Set([...(facet ? counts.keys() : all), ...ticked, ...inUse])];
  if (!values.length) return nothing;
  return html`<details class="facet" ?open=${ticked.size > 0}>
    <summary>${label}</summary>
    <fieldset>
      <legend class="for-readers">${label}</legend>
      ${repeat(
        values,
        (value) => value,
        (value) =>
          html`<label class="box">
            <input type="checkbox" name=${name} value=${value} ?checked=${ticked.has(value)} />
            <span>${words(value)}</span>
            ${facet
              ? html`<span class="count">${counts.get(value) ?? "0"}<span class="for-readers"> cars</span></span>`
              : nothing}
          </label>`,
      )}
    </fieldset>
  </details>`;
}
