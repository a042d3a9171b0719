// The pictures of a listing in its form: chosen, shown at once, put in order, uploaded two at a time, and removed.
//
// Files are kept in the browser until they are uploaded (drafts.js). The first picture is the cover. A picture that is
// stored is removed after a question; a file that is left out can be taken back.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { filesOf, keepFiles, renameFiles } from "../drafts.js";
import { megabytes } from "../format.js";
import { contained, isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { Problem } from "../problem.js";
import { uploadPatiently } from "../patient_upload.js";
import { isPicture, isTooLarge, shown } from "../shrink.js";
import { uploadPicture } from "../uploads.js";
import { announce } from "./announcer.js";
import { Dialog } from "./dialog.js";
import { carIcon } from "./icons.js";
import { picture } from "./picture.js";

const AT_ONCE = 2;
const FORMATS = "JPEG, PNG, WebP, GIF, HEIC or AVIF";

let lastKey = 0;

export class PictureField {
  /** In the order that the person wants: {key, stored} or {key, file, address, image, progress, problem, isUnderWay}. */
  #items = [];
  /** Why files were not taken: [name, what is said of it]. */
  #refused = [];
  /** The item that was left out last, and its place. */
  #leftOut = null;
  #dragged = null;
  #listing = null;
  /** The ids in the order that the server has; null if that is not known. */
  #order = [];
  #sending = 0;
  #arranging = Promise.resolve();
  #idle = [];

  constructor(view, draftName) {
    this.view = view;
    this.draftName = draftName;
    this.dialog = new Dialog(view, "remove-picture", {
      title: "Remove this picture?",
      action: "Remove",
      isDanger: true,
      submit: (_, item) => this.#remove(item),
    });
  }

  /** True while a file is being uploaded. */
  get isBusy() {
    return this.#sending > 0;
  }

  get hasFiles() {
    return this.#items.some((item) => item.file);
  }

  /** Shows the stored pictures of the listing, and the files that were chosen before and not uploaded. */
  async start(listing) {
    if (listing) this.take(listing);
    for (const item of (await filesOf(this.draftName)).map(waiting)) {
      this.#items.push(item);
      shown(item.address).then((image) => {
        item.image ??= image;
        this.view.update();
      });
    }
    if (listing) this.#sendAll();
  }

  stop() {
    for (const { address } of this.#items) if (address) URL.revokeObjectURL(address);
  }

  /** Takes over what is stored now, also by somebody else. */
  take(listing) {
    this.#listing = listing;
    this.#order = listing.pictures.map(({ id }) => id);
    const known = new Map(this.#items.filter(({ stored }) => stored).map((item) => [item.stored.id, item]));
    const stored = listing.pictures.map((one) => known.get(one.id) ?? { key: (lastKey += 1), stored: one });
    this.#items = [...stored, ...this.#items.filter(({ file }) => file)];
  }

  /** Keeps the files under another name from now on. */
  rename(draftName) {
    const before = this.draftName;
    this.draftName = draftName;
    return renameFiles(before, draftName);
  }

  /** Uploads the files to a listing that was made just now. Resolves with whether all are stored, in their order. */
  async uploadTo(listing) {
    this.#listing = listing;
    this.#sendAll();
    if (this.isBusy) await new Promise((resolve) => this.#idle.push(resolve));
    await this.#arranging;
    return !this.hasFiles;
  }

  get #files() {
    return this.#items.filter(({ file }) => file).map(({ file }) => file);
  }

  #changed() {
    keepFiles(this.draftName, this.#files);
    this.view.update();
  }

  template() {
    const isFull = this.#items.length >= limits.pictures;
    const over = (event) => event.dataTransfer.types.includes("Files") && event.preventDefault();
    return html`<fieldset class="pictures" @dragover=${over} @drop=${(event) => this.#dropped(event)}>
      <legend>Pictures</legend>
      <p class="hint" id="pictures-hint">
        Up to ${limits.pictures}: ${FORMATS}, at most ${megabytes(limits.picture_bytes)} each; larger ones are made smaller if this
        browser can. The first is the cover.
      </p>
      <ul class="picture-list">
        ${repeat(
          this.#items,
          (item) => item.key,
          (item, index) => this.#item(item, index),
        )}
      </ul>
      ${this.#refused.length
        ? html`<ul class="fault" role="alert">
            ${this.#refused.map(([name, words]) => html`<li><bdi>${contained(name)}</bdi> ${words}</li>`)}
          </ul>`
        : nothing}
      ${this.#leftOut
        ? html`<p class="hint" role="status">
            <bdi>${contained(this.#leftOut.item.file.name)}</bdi> is left out.
            <button type="button" class="button small" @click=${() => this.#takeBack()}>Undo</button>
          </p>`
        : nothing}
      <input
        id="pictures-input"
        class="for-readers"
        type="file"
        accept="image/*,.heic,.heif,.avif"
        multiple
        ?disabled=${isFull}
        aria-describedby="pictures-hint"
        @change=${(event) => this.#chosen(event.currentTarget)}
      />
      <label class="button ${isFull ? "is-disabled" : ""}" for="pictures-input">Add pictures</label>
      ${isFull ? html`<p class="hint">That is all a listing has room for.</p>` : nothing}
    </fieldset>`;
  }

  #item(item, index) {
    const number = index + 1;
    const last = this.#items.length - 1;
    const act = (name, words, isDisabled, press, sign = "") =>
      html`<button
        type="button"
        class="button small"
        id=${`picture-${item.key}-${name}`}
        title=${sign ? words : nothing}
        ?disabled=${isDisabled}
        @click=${press}
      >
        ${sign ? html`<span aria-hidden="true">${sign}</span><span class="for-readers">${words}</span>` : words}<span
          class="for-readers"
        >
          picture ${number}</span
        >
      </button>`;
    return html`<li
      class=${item.file ? "picture-item upload" : "picture-item"}
      draggable="true"
      @dragstart=${(event) => this.#drag(event, item)}
      @dragover=${(event) => this.#dragged && event.preventDefault()}
      @drop=${(event) => this.#dropOn(event, item)}
      @dragend=${() => (this.#dragged = null)}
    >
      ${this.#shown(item, number)}
      ${index === 0 ? html`<strong class="cover">Cover</strong>` : nothing}
      ${item.file ? this.#progress(item) : nothing}
      <span class="picture-acts">
        ${act("left", "Move left", index === 0, () => this.#move(item, index - 1, "left"), "←")}
        ${act("right", "Move right", index === last, () => this.#move(item, index + 1, "right"), "→")}
        ${index === 0 ? nothing : act("cover", "Make cover", false, () => this.#move(item, 0, "right"))}
        ${item.file
          ? item.isUnderWay
            ? nothing
            : act("out", "Leave it out", false, () => this.#leaveOut(item))
          : act("remove", "Remove", false, () => this.dialog.open(item))}
      </span>
    </li>`;
  }

  #shown(item, number) {
    if (item.stored) return picture(this.#listing, item.stored, `Picture ${number}`);
    // Some browsers cannot show a HEIC; the server can read it.
    if (item.image === null) return html`<span class="no-picture">${carIcon}</span>`;
    return html`<img src=${item.address} alt=${`Picture ${number}`} draggable="false" decoding="async" />`;
  }

  #progress(item) {
    const name = html`<bdi class="upload-name">${contained(item.file.name)}</bdi>`;
    if (!item.problem) {
      return html`${name}<progress max="1" value=${item.progress} aria-label=${`Uploading ${isolated(item.file.name)}`}></progress>`;
    }
    return html`${name}<span class="fault" role="alert">${item.problem.of("picture") || item.problem.message}</span>
      ${item.problem.status === 413 || item.problem.status === 415 || item.problem.status === 422
        ? nothing
        : html`<button type="button" class="button small" @click=${() => this.#tryAgain(item)}>Try again</button>`}`;
  }

  #chosen(element) {
    const files = [...element.files];
    element.value = "";
    return this.#add(files);
  }

  #dropped(event) {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    this.#add([...event.dataTransfer.files]);
  }

  async #add(files) {
    this.#refused = [];
    this.#leftOut = null;
    const left = [];
    for (const file of files) {
      if (this.#items.length >= limits.pictures) {
        left.push(file);
        continue;
      }
      const item = waiting(file);
      // In the list at once, so that files chosen at the same time keep their order.
      this.#items.push(item);
      this.view.update();
      const why = await this.#unfit(item);
      if (why) {
        this.#items = this.#items.filter((other) => other !== item);
        URL.revokeObjectURL(item.address);
        this.#refused.push([file.name, why]);
      }
    }
    if (left.length) {
      const more = left.length === 1 ? "is" : `and ${left.length - 1} more are`;
      this.#refused.push([left[0].name, `${more} not taken: a listing has room for ${limits.pictures} pictures.`]);
    }
    this.#changed();
    if (this.#listing) this.#sendAll();
  }

  /** Resolves with what is wrong with the file, to be said after its name; "" if it can be taken. */
  async #unfit(item) {
    const { file } = item;
    const isSame = (other) => ["name", "size", "lastModified"].every((one) => other.file?.[one] === file[one]);
    if (this.#items.some((other) => other !== item && isSame(other))) return "is here already.";
    try {
      if (!(await isPicture(file))) return `is not taken: it is no ${FORMATS} picture.`;
    } catch {
      return "cannot be read.";
    }
    item.image = await shown(item.address);
    if (item.image === null && isTooLarge(file, null)) {
      return `is too large (${megabytes(file.size)}), and this browser cannot make it smaller.`;
    }
    return "";
  }

  #leaveOut(item) {
    this.#leftOut = { item, index: this.#items.indexOf(item) };
    this.#items = this.#items.filter((other) => other !== item);
    this.#changed();
  }

  #takeBack() {
    const { item, index } = this.#leftOut;
    this.#leftOut = null;
    if (this.#items.length >= limits.pictures) return this.view.update();
    this.#items.splice(index, 0, item);
    this.#changed();
    if (this.#listing) this.#sendAll();
  }

  #tryAgain(item) {
    item.problem = null;
    this.#sendAll();
    this.view.update();
  }

  async #remove(item) {
    await api.delete(`/api/listings/${this.#listing.id}/pictures/${item.stored.id}`);
    this.#items = this.#items.filter((other) => other !== item);
    this.#order = this.#order?.filter((id) => id !== item.stored.id) ?? null;
    announce("The picture is removed.");
    this.view.update();
  }

  #drag(event, item) {
    this.#dragged = item;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
  }

  #dropOn(event, target) {
    if (!this.#dragged) return;
    event.preventDefault();
    event.stopPropagation();
    const item = this.#dragged;
    this.#dragged = null;
    if (item !== target) this.#move(item, this.#items.indexOf(target));
  }

  /** Moves a picture. The focus stays on the button that was pressed, or goes to `next` if it can be pressed no more. */
  #move(item, index, pressed = "") {
    this.#items = this.#items.filter((other) => other !== item);
    this.#items.splice(index, 0, item);
    announce(index === 0 ? "It is the cover now." : `It is picture ${index + 1} of ${this.#items.length} now.`);
    this.#changed();
    if (pressed) queueMicrotask(() => queueMicrotask(() => this.#focus(item, pressed)));
    this.#arrange();
  }

  #focus(item, pressed) {
    const other = pressed === "left" ? "right" : "left";
    const buttons = [pressed, other].map((name) => document.getElementById(`picture-${item.key}-${name}`));
    buttons.find((button) => button && !button.disabled)?.focus();
  }

  /** Tells the server the order of what is stored, if it has another one. One request follows the other. */
  #arrange() {
    this.#arranging = this.#arranging.then(async () => {
      const wanted = this.#items.filter(({ stored }) => stored).map(({ stored }) => stored.id);
      if (!this.#listing || wanted.join() === this.#order?.join()) return;
      try {
        const { pictures } = await api.put(`/api/listings/${this.#listing.id}/pictures/order`, { pictures: wanted });
        this.#order = pictures.map(({ id }) => id);
      } catch (error) {
        this.#refused = [["", `The order is not stored. ${Problem.of(error).message}`]];
        this.view.update();
      }
    });
  }

  #sendAll() {
    while (this.#sending < AT_ONCE) {
      const next = this.#items.find((item) => item.file && !item.isUnderWay && !item.problem);
      if (!next) break;
      this.#send(next);
    }
  }

  async #send(item) {
    this.#sending += 1;
    item.isUnderWay = true;
    this.view.update();
    try {
      const stored = await this.#upload(item);
      // Of two that were on their way at once, the answers may come in another order than that of the server.
      if (this.#sending > 1) this.#order = null;
      this.#order?.push(stored.id);
      announce(`${isolated(item.file.name)} is uploaded.`);
      URL.revokeObjectURL(item.address);
      Object.assign(item, { stored, file: null, address: null, image: undefined });
    } catch (error) {
      item.problem = Problem.of(error);
    }
    item.isUnderWay = false;
    this.#sending -= 1;
    this.#changed();
    this.#sendAll();
    if (this.isBusy) return;
    this.#arrange();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #upload(item) {
    const told = (progress) => {
      item.progress = progress;
      this.view.update();
    };
    item.image ??= await shown(item.address);
    return uploadPatiently(item.file, item.image, (file) => uploadPicture(this.#listing.id, file, told));
  }
}

function waiting(file) {
  const address = URL.createObjectURL(file);
  return { key: (lastKey += 1), file, address, image: undefined, progress: 0, problem: null, isUnderWay: false };
}
