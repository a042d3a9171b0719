// The view of an address that is only for moderators or admins.

import { html } from "../vendor/lit-html/lit-html.js";
import { View } from "../view.js";

export class NotAllowed extends View {
  title = "Not for you";

  template() {
    return html`<section class="narrow">
      <h1>This page is not for your role</h1>
      <p><a href="/">See all cars</a></p>
    </section>`;
  }
}
