// The view of an address whose script could not be loaded.

import { html } from "../vendor/lit-html/lit-html.js";
import { View } from "../view.js";

export class Unavailable extends View {
  title = "This did not work";

  /** `again()` tries it again. */
  constructor(problem, again) {
    super({});
    this.problem = problem;
    this.again = again;
  }

  template() {
    return html`<section class="narrow">
      <h1>This did not work</h1>
      <p class="fault" role="alert">${this.problem.message}</p>
      <p><button class="button" @click=${this.again}>Try again</button></p>
    </section>`;
  }
}
