// Pictures of private messages: chosen beside the text, uploaded at once, sent with the message; and those that came.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { draftOf, keepDraft } from "../drafts.js";
import { isolated } from "../isolate.js";
import { limitsOf } from "../limits.js";
import { uploadPatiently } from "../patient_upload.js";
import { Problem } from "../problem.js";
import { isPicture, shown } from "../shrink.js";
import { uploadWhole } from "../uploads.js";
import { announce } from "./announcer.js";
import { pictureIcon } from "./icons.js";
import { picture } from "./picture.js";

const PATH = "/api/messages/pictures";
/** The server deletes a picture that no message has after a day. */
const KEPT_MS = 23 * 3_600_000;

let lastKey = 0;

/** The pictures that the next message will have. Those that are uploaded are kept as a draft of this name. */
export class ChosenPictures {
  /** {key, name, address, stored, at}; `stored` is what the server answered at the time `at`. */
  #items = [];
  /** What is said of the files that were not taken. */
  #refused = [];

  constructor(view, draftName) {
    this.view = view;
    this.draftName = draftName;
  }

  /** Takes up what was chosen before. */
  start() {
    const kept = JSON.parse(draftOf(this.draftName) || "[]");
    this.#take(kept.filter(({ at }) => at > Date.now() - KEPT_MS));
  }

  #take(kept) {
    this.#items.push(...kept.map((one) => ({ key: (lastKey += 1), name: "The picture", ...one })));
  }

  #keep() {
    const kept = this.#items.filter(({ stored }) => stored).map(({ stored, at }) => ({ stored, at }));
    keepDraft(this.draftName, kept.length ? JSON.stringify(kept) : "");
  }

  stop() {
    for (const { address } of this.#items) if (address) URL.revokeObjectURL(address);
  }

  get isBusy() {
    return this.#items.some(({ stored }) => !stored);
  }

  /** Returns what is uploaded, and forgets it: it is sent now. */
  take() {
    const stored = this.#items.map((item) => item.stored);
    this.stop();
    this.#items = [];
    this.#refused = [];
    this.#keep();
    return stored;
  }

  /** Takes pictures back, of a message that was refused. */
  putBack(pictures) {
    this.#take(pictures.map((stored) => ({ stored, at: Date.now() })));
    this.#keep();
  }

  get #most() {
    return limitsOf("Send").pictures?.maxlength ?? Infinity;
  }

  /** The button that chooses pictures. */
  button() {
    const isFull = this.#items.length >= this.#most;
    return html`<input
        id="message-pictures"
        class="for-readers"
        type="file"
        accept="image/*,.heic,.heif,.avif"
        multiple
        ?disabled=${isFull}
        aria-label="Add pictures"
        @change=${(event) => this.#chosen(event.currentTarget)}
      />
      <label class="button add-pictures ${isFull ? "is-disabled" : ""}" for="message-pictures" title="Add pictures">${pictureIcon}</label>`;
  }

  template() {
    if (!this.#items.length && !this.#refused.length) return nothing;
    return html`<ul class="chosen-pictures">
        ${repeat(
          this.#items,
          (item) => item.key,
          (item, index) => this.#item(item, index + 1),
        )}
      </ul>
      ${this.#refused.length
        ? html`<ul class="fault small-text" role="alert">
            ${this.#refused.map((words) => html`<li>${words}</li>`)}
          </ul>`
        : nothing}`;
  }

  #item(item, number) {
    const image = item.address
      ? html`<img src=${item.address} alt=${`Picture ${number}`} decoding="async" />`
      : picture({ hidden: true }, item.stored, `Picture ${number}`);
    return html`<li class="chosen-picture" aria-busy=${String(!item.stored)}>
      ${image}
      ${item.stored ? nothing : html`<progress max="1" value=${item.progress ?? 0} aria-label=${`Uploading ${item.name}`}></progress>`}
      <button type="button" class="button small" aria-label=${`Remove picture ${number}`} @click=${() => this.#remove(item)}>
        <span aria-hidden="true">×</span>
      </button>
    </li>`;
  }

  async #chosen(element) {
    const files = [...element.files];
    element.value = "";
    this.#refused = [];
    for (const file of files) {
      if (this.#items.length >= this.#most) {
        this.#refused.push(`A message has room for ${this.#most} pictures.`);
        break;
      }
      await this.#add(file);
    }
    this.view.update();
  }

  async #add(file) {
    const item = { key: (lastKey += 1), name: isolated(file.name), address: URL.createObjectURL(file), progress: 0 };
    this.#items.push(item);
    this.view.update();
    try {
      if (!(await isPicture(file))) throw new Problem({ status: 415, title: "It is no picture." });
      const told = (progress) => {
        item.progress = progress;
        this.view.update();
      };
      const image = await shown(item.address);
      item.stored = await uploadPatiently(file, image, (fitting) => uploadWhole(PATH, fitting, told));
      item.at = Date.now();
      // It was removed meanwhile.
      if (!this.#items.includes(item)) return this.#discard(item);
      this.#keep();
      announce(`${isolated(file.name)} is uploaded.`);
    } catch (error) {
      const problem = Problem.of(error);
      this.#drop(item);
      this.#refused.push(`${isolated(file.name)}: ${problem.of("picture") || problem.message}`);
    }
    this.view.update();
  }

  #remove(item) {
    this.#drop(item);
    if (item.stored) this.#discard(item);
    document.getElementById("message-pictures")?.focus();
    this.view.update();
  }

  #drop(item) {
    this.#items = this.#items.filter((other) => other !== item);
    if (item.address) URL.revokeObjectURL(item.address);
    this.#keep();
  }

  /** What is not deleted now is deleted by the server within a day. */
  #discard(item) {
    api.delete(`${PATH}/${item.stored.id}`).catch(() => {});
  }
}

/** Returns a message's pictures; `enlarge(index)` shows one of them large. Their place is as large before they have come. */
export function picturesOf({ pictures = [] }, from, enlarge = null) {
  if (!pictures.length) return nothing;
  const alt = (index) => `Picture ${index + 1} of ${pictures.length} from ${from}`;
  const image = (one, index) => picture({ hidden: true }, one, alt(index), { shown: "12rem" });
  return html`<ul class="message-pictures">
    ${pictures.map(
      (one, index) =>
        html`<li>
          ${enlarge
            ? html`<button class="message-picture" aria-label=${`Enlarge: ${alt(index)}`} @click=${() => enlarge(index)}>
                ${image(one, index)}
              </button>`
            : html`<span class="message-picture">${image(one, index)}</span>`}
        </li>`,
    )}
  </ul>`;
}
