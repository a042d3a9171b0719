// Buttons that act on one row of a list, and the result of the last act.

import { html } from "../vendor/lit-html/lit-html.js";
import { Problem } from "../problem.js";

export class Acts {
  words = "";
  isFault = false;

  constructor(view) {
    this.view = view;
    // What is drawn beside all views has no others to hush.
    view.addSpeaker?.(this);
  }

  hush() {
    this.words = "";
  }

  /** Does the work, then shows `words` or what they return, or the reason of the failure. */
  async do(work, words) {
    this.view.hushOthers?.(this);
    try {
      await work();
      this.words = typeof words === "function" ? words() : words;
      this.isFault = false;
    } catch (error) {
      this.words = Problem.of(error).message;
      this.isFault = true;
    }
    this.view.update();
  }

  template() {
    return html`<p class=${this.isFault ? "fault" : "done"} role="status">${this.words}</p>`;
  }
}
