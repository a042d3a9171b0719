// Lets the page go on while the browser shows it in another language.
//
// Translators put <font> elements with the translation in the place of texts. lit-html writes a new text to the node that
// it has made, by setting `data`; where that node was is now a <font>. Here, setting `data` sets its text, which the
// translator then sees and translates.

export function survivePageTranslation() {
  Object.defineProperty(HTMLFontElement.prototype, "data", {
    configurable: true,
    get() {
      return this.textContent;
    },
    set(text) {
      this.textContent = text;
    },
  });
}
