// "Account": the switch for messages of strangers about anything.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { session } from "../session.js";
import { Acts } from "./acts.js";

export class RequestsSwitch {
  #acts;

  constructor(view) {
    this.#acts = new Acts(view);
  }

  template() {
    return html`<h2>Messages</h2>
      <p>
        <label class="check"
          ><input
            type="checkbox"
            name="takes_requests"
            .checked=${session.user.takes_requests ?? true}
            @change=${(event) => this.#turn(event.currentTarget.checked)}
          />
          Strangers may ask to write to me about anything</label
        >
      </p>
      <p class="quiet small-text">Otherwise people write to you first about one of your cars, or if you have written to them.</p>
      ${this.#acts.template()}`;
  }

  #turn(takesRequests) {
    return this.#acts.do(
      async () => session.rename(await api.patch("/api/me", { takes_requests: takesRequests })),
      "Saved.",
    );
  }
}
