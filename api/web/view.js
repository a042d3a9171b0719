// What a view is: started when its address is opened, stopped when it is left, and between them a template of its state.

import { update } from "./page.js";
import { Problem } from "./problem.js";

export class View {
  #controller = new AbortController();
  /** For the window, and for screen readers when the view opens. */
  title = "";
  /** Why the view could not be loaded, if it could not. */
  problem = null;

  constructor({ params = {}, query = new URLSearchParams(), notice = "" }) {
    this.params = params;
    this.query = query;
    this.notice = notice;
  }

  /** Aborts when the view is left; for requests. */
  get signal() {
    return this.#controller.signal;
  }

  get isLeft() {
    return this.signal.aborted;
  }

  /** `previous` is the view that was shown before, if it is of the same kind. */
  start(previous) {}

  stop() {
    this.#controller.abort();
  }

  update() {
    if (!this.isLeft) update();
  }

  /** Does the work, and shows what became of it: what it changed, or why it failed. */
  async load(work) {
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (this.isLeft) return;
      this.problem = Problem.of(error);
    }
    this.update();
  }

  beforeDraw() {}
  afterDraw() {}
}
