// <guarded-picture>: an image that only some people may see. It is fetched with the token in a header.

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
    try {
      const blob = await api.blob(this.getAttribute("src"), controller.signal);
      if (controller.signal.aborted) return;
      this.#address = URL.createObjectURL(blob);
      this.#image.src = this.#address;
    } catch {
      // The view was left, or the image could not be loaded: the alternative text is shown.
    }
  }

  #forget() {
    this.#controller?.abort();
    this.#image.removeAttribute("src");
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
  }
}

customElements.define("guarded-picture", GuardedPicture);
