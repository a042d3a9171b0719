// "Account": the switch for push messages to this browser. The permission is asked for by a press, never by the page.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { Problem } from "../problem.js";
import { isPossible, read, turnOff, turnOn } from "../push.js";

export class PushSwitch {
  #view;
  /** {public_key, is_on, shows_text}; null until the server has answered. */
  #state = null;
  #isBusy = false;
  #words = "";

  constructor(view) {
    this.#view = view;
  }

  async load() {
    if (isPossible()) await this.#do(async () => (this.#state = await read()), "");
  }

  template() {
    if (this.#state && this.#state.public_key === null) return nothing;
    return html`<h2 id="notifications">Notifications</h2>
      <p>
        While you are away, this browser can tell you of messages, of replies to your listings, and of new cars for your
        saved searches.
      </p>
      ${isPossible() ? this.#switches() : html`<p>This browser cannot. On an iPhone, put Daveslist on the home screen first.</p>`}
      <p role="status">${this.#words}</p>`;
  }

  #switches() {
    if (!this.#state) return nothing;
    const { is_on: isOn, shows_text: showsText, public_key: key } = this.#state;
    return html`<p>
        <label class="check"
          ><input type="checkbox" name="push" .checked=${isOn} ?disabled=${this.#isBusy} @change=${(event) => this.#turn(event.currentTarget, key)} />
          Tell me on this device</label
        >
      </p>
      ${isOn
        ? html`<p>
            <label class="check"
              ><input
                type="checkbox"
                name="push_text"
                .checked=${showsText}
                ?disabled=${this.#isBusy}
                @change=${(event) => this.#turnText(event.currentTarget.checked, key)}
              />
              Show what was written</label
            >
          </p>`
        : nothing}`;
  }

  #turn(box, key) {
    if (!box.checked) {
      return this.#do(async () => {
        await turnOff();
        this.#state = { ...this.#state, is_on: false };
      }, "This device is told of nothing more.");
    }
    return this.#do(async () => {
      const answer = await turnOn(key, false);
      if (answer) this.#state = answer;
      else throw new Refused();
    }, "This device is told from now on.");
  }

  #turnText(showsText, key) {
    return this.#do(async () => {
      this.#state = (await turnOn(key, showsText)) ?? this.#state;
    }, "Saved.");
  }

  async #do(work, done) {
    this.#isBusy = true;
    this.#words = "";
    this.#view.update();
    try {
      await work();
      this.#words = done;
    } catch (error) {
      if (error instanceof Refused) this.#words = "Your browser does not allow it. You can change that in its settings.";
      else if (error instanceof Problem) this.#words = error.message;
      else this.#words = "Your browser could not be reached by its push service. Try again later.";
    }
    this.#isBusy = false;
    this.#view.update();
  }
}

class Refused extends Error {}
