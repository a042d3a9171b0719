// <guarded-picture>: an image that only some people may see. It is fetched with the token in a header, in the size that
// fits its place.

import { api } from "../api.js";

class GuardedPicture extends HTMLElement {
  static observedAttributes = ["src", "alt"];
  #image = new Image();
  #controller = null;
  #address = "";

  connectedCallback() {
    this.append(this.#image);
    this.#load();
  }

  disconnectedCallback() {
    this.#forget();
    this.#image.remove();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name === "alt") this.#image.alt = after;
    else if (this.isConnected) this.#load();
  }

  async #load() {
    this.#forget();
    const controller = (this.#controller = new AbortController());
    // When a list is drawn, its place is known only after its other parts.
    await null;
    if (controller.signal.aborted) return;
    try {
      const blob = await api.blob(this.#choice(), controller.signal);
      if (controller.signal.aborted) return;
      this.#address = URL.createObjectURL(blob);
      this.#image.src = this.#address;
    } catch {
      // The view was left, or the image could not be loaded: the alternative text is shown.
    }
  }

  /** The smallest size that fills its place. Browsers choose by `srcset` only among what they fetch themselves. */
  #choice() {
    const choices = (this.getAttribute("srcset") ?? "").split(", ").map((one) => one.split(" "));
    const isEnough = ([, width]) => parseFloat(width) >= this.clientWidth * devicePixelRatio;
    const [address] = (this.clientWidth && choices.find(isEnough)) || choices.at(-1);
    return address || this.getAttribute("src");
  }

  #forget() {
    this.#controller?.abort();
    this.#image.removeAttribute("src");
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
  }
}

customElements.define("guarded-picture", GuardedPicture);
