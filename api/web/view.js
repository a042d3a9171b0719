// The base of views. A view starts when its address is opened and stops when it is left; its template shows its state.

import { update } from "./page.js";
import { Problem } from "./problem.js";

export class View {
  #controller = new AbortController();
  /** The forms and lists of this view, which say what became of what was done with them. */
  #speakers = new Set();
  /** The title of the window, which screen readers read when the view opens. */
  title = "";
  /** The Problem because of which the view could not be loaded, or null. */
  problem = null;

  /** `notice` is shown above the view; with `objectionToken`, the person can object to what it says. */
  constructor({ params = {}, query = new URLSearchParams(), notice = "", objectionToken = "" }) {
    this.params = params;
    this.query = query;
    this.notice = notice;
    this.objectionToken = objectionToken;
  }

  /** A signal for requests, which aborts when the view is left. */
  get signal() {
    return this.#controller.signal;
  }

  get isLeft() {
    return this.signal.aborted;
  }

  /** True while the view has less to show than what the server has rendered for its address. */
  get isPending() {
    return false;
  }

  /** Start the view. It is given the view that was shown before, if that is of the same kind. */
  start() {}

  stop() {
    this.#controller.abort();
  }

  update() {
    if (!this.isLeft) update();
  }

  /** `speaker.hush()` takes back what it said of its last success. */
  addSpeaker(speaker) {
    this.#speakers.add(speaker);
  }

  /** To be called when one of them begins: what the others said was about something else. */
  hushOthers(speaker) {
    for (const one of this.#speakers) if (one !== speaker) one.hush();
  }

  /** Do the work, and show its result: what it changed, or why it failed. */
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
