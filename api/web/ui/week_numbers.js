// How many reports were made and resolved in the last weeks, and how long that took: read when it is opened.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { date, whole } from "../format.js";
import { Problem } from "../problem.js";

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];

export class WeekNumbers {
  #weeks = null;
  #problem = null;

  /** `reasons` are the words for each reason. */
  constructor(view, reasons) {
    this.view = view;
    this.reasons = reasons;
  }

  async #load() {
    try {
      const { weeks } = await api.get("/api/moderation/numbers", { signal: this.view.signal });
      this.#weeks = weeks;
      this.#problem = null;
    } catch (error) {
      this.#problem = Problem.of(error);
    }
    this.view.update();
  }

  template() {
    return html`<details class="week-numbers" @toggle=${(event) => event.target.open && this.#load()}>
      <summary>Numbers of the last weeks</summary>
      ${this.#problem ? html`<p class="fault" role="alert">${this.#problem.message}</p>` : nothing}
      ${this.#weeks ? this.#table() : nothing}
    </details>`;
  }

  #table() {
    return html`<div class="table" role="region" aria-label="Numbers of the last weeks" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Week from</th>
            <th scope="col">Reported</th>
            <th scope="col">Resolved</th>
            <th scope="col">Half of them within</th>
            <th scope="col">Reasons</th>
          </tr>
        </thead>
        <tbody>
          ${this.#weeks.map(
            (week) =>
              html`<tr>
                <th scope="row">${date(week.since)}</th>
                <td>${whole.format(week.made)}</td>
                <td>${whole.format(week.resolved)}</td>
                <td>${lasting(week.median_seconds)}</td>
                <td>${this.#reasonsOf(week)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }

  #reasonsOf({ by_reason: byReason }) {
    const counted = Object.entries(byReason).filter(([, number]) => number);
    return counted.map(([reason, number]) => `${this.reasons[reason] ?? reason}: ${whole.format(number)}`).join(", ");
  }
}

/** A time in its greatest unit: "3 h"; "–" if there is none. */
export function lasting(seconds) {
  if (seconds === null) return "–";
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? [1, "s"];
  return `${whole.format(Math.round(seconds / size))} ${unit}`;
}
