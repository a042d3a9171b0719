// The pictures of a car: one at a time, also by keys and by swiping, and as large as the window, where it can be zoomed.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { isolated } from "../isolate.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { announce } from "./announcer.js";
import { IN_GALLERY, isGuarded, picture } from "./picture.js";
import { directionOf } from "./swipe.js";

/** How many times as large as it fits into the window. */
const ZOOMS = [1, 2, 4];

export class Gallery {
  shown = 0;
  #isLarge = false;
  #zoom = 1;
  #began = null;
  #hasSwiped = false;

  constructor(view) {
    this.view = view;
  }

  /** Keeps to the pictures that there are. */
  #current(pictures) {
    this.shown = Math.min(this.shown, Math.max(0, pictures.length - 1));
    return pictures[this.shown];
  }

  template(listing) {
    const { pictures } = listing;
    const current = this.#current(pictures);
    const keys = (event) => this.#pressed(event, pictures.length);
    return html`<section class="gallery" aria-label="Pictures" @keydown=${keys}>
      <div
        class="gallery-main ${current ? "" : "is-empty"}"
        @pointerdown=${this.#down}
        @pointerup=${(event) => this.#up(event, pictures.length)}
      >
        ${current
          ? html`<button class="gallery-open" aria-label=${`Enlarge picture ${this.shown + 1} of ${pictures.length}`} @click=${this.#open}>
              ${this.#picture(listing, IN_GALLERY)}
            </button>`
          : picture(listing, undefined, "")}
        ${this.#steps(pictures.length)}
      </div>
      ${pictures.length > 1
        ? html`<ul class="thumbnails">
            ${repeat(
              pictures,
              (one) => one.id,
              (one, index) =>
                html`<li>
                  <button
                    aria-label=${`Show picture ${index + 1}`}
                    aria-pressed=${String(index === this.shown)}
                    @click=${() => this.#show(index, pictures.length)}
                  >
                    ${picture(listing, one, "")}
                  </button>
                </li>`,
            )}
          </ul>`
        : nothing}
      ${this.#isLarge && current ? this.#large(listing) : nothing}
    </section>`;
  }

  /** Shows one of the pictures as large as the window; `large` has to be in the page. */
  openAt(index) {
    this.shown = index;
    this.#hasSwiped = false;
    this.#open({ detail: 0 });
  }

  /** The pictures as large as the window, if they are shown so. `title` is what they show. */
  large(listing) {
    const { pictures } = listing;
    if (!this.#isLarge || !this.#current(pictures)) return nothing;
    return html`<div @keydown=${(event) => this.#pressed(event, pictures.length)}>${this.#large(listing)}</div>`;
  }

  #picture(listing, shown) {
    const { pictures, title } = listing;
    const one = pictures[this.shown];
    return picture(listing, one, `${isolated(title)}, picture ${this.shown + 1} of ${pictures.length}`, {
      shown,
      address: one.url,
      isFirst: true,
    });
  }

  /** The buttons to the picture before and the one behind, and which this is. One that leads nowhere keeps the focus. */
  #steps(count) {
    if (count < 2) return nothing;
    const step = (by) => (event) => {
      event.stopPropagation();
      this.#show(this.shown + by, count);
    };
    return html`<button class="gallery-step before" aria-label="Previous picture" aria-disabled=${String(this.shown === 0)} @click=${step(-1)}>
        <span aria-hidden="true">‹</span>
      </button>
      <button class="gallery-step behind" aria-label="Next picture" aria-disabled=${String(this.shown === count - 1)} @click=${step(1)}>
        <span aria-hidden="true">›</span>
      </button>
      <p class="gallery-count" aria-hidden="true">${this.shown + 1} / ${count}</p>`;
  }

  #large(listing) {
    const { length } = listing.pictures;
    const zoom = () => {
      this.#zoom = ZOOMS[(ZOOMS.indexOf(this.#zoom) + 1) % ZOOMS.length];
      this.view.update();
    };
    const press = () => {
      if (!this.#hasSwiped) zoom();
    };
    return html`<dialog id="large" class="large" aria-label="Pictures, large" @close=${this.#closed}>
      <div
        class="large-picture"
        data-zoom=${this.#zoom}
        tabindex=${this.#zoom > 1 ? "0" : nothing}
        role=${this.#zoom > 1 ? "group" : nothing}
        aria-label=${this.#zoom > 1 ? "Picture, larger than the window" : nothing}
        @pointerdown=${this.#down}
        @pointerup=${(event) => this.#up(event, length)}
        @click=${press}
      >
        ${this.#picture(listing, isGuarded(listing) ? "" : `${this.#zoom}00vw`)}
      </div>
      ${this.#steps(length)}
      <div class="large-buttons">
        <button class="button" @click=${zoom}>${this.#zoom === ZOOMS.at(-1) ? "Fit" : "Zoom in"}</button>
        <button class="button" autofocus @click=${() => document.getElementById("large").close()}>Close</button>
      </div>
    </dialog>`;
  }

  #open = (event) => {
    // The keyboard's click has no detail.
    if (this.#hasSwiped && event.detail) return;
    this.#isLarge = true;
    this.#zoom = 1;
    this.view.update();
    // Draw first: a dialog has to be in the page before it can be shown.
    queueMicrotask(() => queueMicrotask(() => document.getElementById("large")?.showModal()));
  };

  #closed = () => {
    this.#isLarge = false;
    this.view.update();
  };

  #show(index, count) {
    const shown = Math.max(0, Math.min(index, count - 1));
    if (shown === this.shown) return;
    this.shown = shown;
    this.#zoom = 1;
    announce(`Picture ${shown + 1} of ${count}`);
    this.view.update();
    requestAnimationFrame(() => {
      const [strip, thumbnail] = [".thumbnails", `.thumbnails li:nth-child(${shown + 1})`].map((one) => document.querySelector(one));
      // Only the strip scrolls, not the page.
      if (thumbnail) strip.scrollLeft = thumbnail.offsetLeft - (strip.clientWidth - thumbnail.clientWidth) / 2;
    });
  }

  #pressed(event, count) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // The keys move a picture that is larger than the window.
    if (this.#zoom > 1 && event.target.closest(".large-picture")) return;
    const index = { ArrowLeft: this.shown - 1, ArrowRight: this.shown + 1, Home: 0, End: count - 1 }[event.key];
    if (index === undefined) return;
    event.preventDefault();
    this.#show(index, count);
  }

  #down = (event) => {
    this.#hasSwiped = false;
    this.#began = event.isPrimary ? { x: event.clientX, y: event.clientY } : null;
  };

  #up(event, count) {
    // A finger that moves a picture larger than the window does not turn it over.
    const direction = this.#began && this.#zoom === 1 ? directionOf(this.#began, { x: event.clientX, y: event.clientY }) : 0;
    this.#began = null;
    if (!direction) return;
    // The click that follows belongs to the swipe.
    this.#hasSwiped = true;
    this.#show(this.shown + direction, count);
  }
}
