// The view of an address that does not exist.

import { html } from "../vendor/lit-html/lit-html.js";
import { View } from "../view.js";

export class Missing extends View {
  title = "Not found";

  template() {
    return html`<section class="narrow">
      <h1>There is nothing here</h1>
      <p>The address may be wrong. <a href="/">See all cars</a>.</p>
    </section>`;
  }
}
