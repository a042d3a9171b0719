// The message from the site that has to be read: until then it is in front of everything else, and cannot be closed.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { update } from "../page.js";
import { Problem } from "../problem.js";
import { session } from "../session.js";

const AGAIN_MS = 5_000;

class Warnings {
  /** The warnings that are not read yet; null until they are known. */
  #unread = null;
  /** The person whose warnings these are. */
  #of = null;
  #again = null;
  #isBusy = false;
  /** Why the last press did nothing; "" if it did. */
  #fault = "";

  template() {
    const me = session.user;
    if (!me?.has_warning) {
      this.#of = this.#unread = null;
      return nothing;
    }
    if (this.#of !== me.id) {
      this.#of = me.id;
      this.#unread = null;
      this.#load();
    }
    const [first] = this.#unread ?? [];
    if (!first) return nothing;
    // Draw first: a dialog has to be in the page before it can be shown.
    queueMicrotask(() => queueMicrotask(() => this.#show()));
    return html`<dialog id="warning" aria-labelledby="warning-title" @cancel=${(event) => event.preventDefault()} @close=${() => this.#show()}>
      <h2 id="warning-title">A message from Daveslist</h2>
      <p>A moderator has warned you. Until you have read this, you can neither write to others nor offer cars.</p>
      <blockquote class="user-text" dir="auto">${first.reason}</blockquote>
      <p class="quiet">If you think that this is wrong, you can object to it under “What moderators did”, on your account’s page.</p>
      ${this.#fault ? html`<p class="fault" role="alert">${this.#fault}</p>` : nothing}
      <p class="actions">
        <button class="button primary" ?disabled=${this.#isBusy} @click=${() => this.#read(first)}>I have read it</button>
      </p>
    </dialog>`;
  }

  #show() {
    const dialog = document.getElementById("warning");
    if (dialog && !dialog.open) dialog.showModal();
  }

  async #load() {
    clearTimeout(this.#again);
    const of = this.#of;
    try {
      const { data } = await api.get("/api/me/warnings");
      if (this.#of !== of) return;
      this.#unread = data;
      // They were read on another device, or lifted.
      if (!data.length) await session.rename({ id: of, has_warning: false });
    } catch {
      this.#again = setTimeout(() => this.#load(), AGAIN_MS);
    }
    update();
  }

  async #read(warning) {
    this.#isBusy = true;
    update();
    try {
      await api.put(`/api/me/warnings/${warning.id}/read`);
      this.#fault = "";
      await this.#load();
    } catch (error) {
      this.#fault = Problem.of(error).message;
    }
    this.#isBusy = false;
    update();
  }

  /** There is another one. */
  renew() {
    if (this.#unread) this.#load();
  }
}

export const warnings = new Warnings();
