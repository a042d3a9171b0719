// The state of suggestions while somebody types: makes, models and places that begin with what was typed. Arrow keys
// move, Enter takes, Escape closes. What is typed stays as it is until a suggestion is taken. Draws nothing itself.

const WAIT_MS = 100;

export class Suggestions {
  /** What was typed since the last search; null if nothing was. */
  text = null;
  items = [];
  /** The index of the suggestion that Enter takes; -1 for what was typed. */
  active = -1;
  #controller = null;
  #timer = null;

  /**
   * `find(text, signal)` resolves to suggestions, `take(text)` searches for one, `changed()` draws the page again, and
   * `say(text)` tells screen readers.
   */
  constructor({ find, take, changed, say }) {
    this.find = find;
    this.take = take;
    this.changed = changed;
    this.say = say;
  }

  get isOpen() {
    return this.items.length > 0;
  }

  typed(text) {
    this.text = text;
    this.#stop();
    if (text.trim()) this.#timer = setTimeout(() => this.#ask(text), WAIT_MS);
    else this.close();
  }

  /** Returns true if the key did something here, so that the browser must do nothing. */
  pressed(key) {
    if (!this.isOpen) return false;
    const { length } = this.items;
    switch (key) {
      case "ArrowDown":
        return this.#move(this.active === length - 1 ? -1 : this.active + 1);
      case "ArrowUp":
        return this.#move(this.active === -1 ? length - 1 : this.active - 1);
      case "Enter":
        if (this.active === -1) return false;
        this.takeAt(this.active);
        return true;
      case "Escape":
        this.close();
        return true;
      default:
        return false;
    }
  }

  takeAt(index) {
    const { text } = this.items[index];
    this.forget();
    this.take(text);
  }

  /** Closes the list. What was typed stays. */
  close() {
    this.#stop();
    this.items = [];
    this.active = -1;
    this.changed();
  }

  /** Closes the list and forgets what was typed, because it has been searched for or the page has gone elsewhere. */
  forget() {
    this.text = null;
    this.close();
  }

  #move(active) {
    this.active = active;
    this.changed();
    return true;
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
    this.#controller = null;
  }

  async #ask(text) {
    const controller = (this.#controller = new AbortController());
    let items = [];
    try {
      items = await this.find(text, controller.signal);
    } catch {
      // Suggestions are only a help: without them one can search as well.
    }
    if (controller.signal.aborted) return;
    this.items = items;
    this.active = -1;
    this.changed();
    if (items.length) this.say(items.length === 1 ? "1 suggestion" : `${items.length} suggestions`);
  }
}
