// A clock that moves only when a test says so. It replaces the timers and Date.now of the process.

/** Resolves when all pending promise callbacks have run. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

export class Clock {
  #now = 1_000_000;
  #lastId = 0;
  /** By id: {work, at, every}. */
  #timers = new Map();

  static install() {
    const clock = new Clock();
    const cancel = (id) => clock.#timers.delete(id);
    Object.assign(globalThis, {
      setTimeout: (work, wait = 0) => clock.#add(work, wait, null),
      setInterval: (work, wait) => clock.#add(work, wait, wait),
      clearTimeout: cancel,
      clearInterval: cancel,
    });
    Date.now = () => clock.#now;
    return clock;
  }

  get now() {
    return this.#now;
  }

  /** Move on by `ms`, and run the timers that are due, in order, each with its promise callbacks. */
  async pass(ms) {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      const [id, timer] = next;
      this.#now = timer.at;
      if (timer.every === null) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.work();
      await settled();
    }
    this.#now = end;
  }

  /** The computer sleeps: time passes without a timer. When it wakes, each timer counts on from where it was. */
  sleep(ms) {
    this.#now += ms;
    for (const timer of this.#timers.values()) timer.at += ms;
  }

  #add(work, wait, every) {
    this.#lastId += 1;
    this.#timers.set(this.#lastId, { work, at: this.#now + wait, every });
    return this.#lastId;
  }

  #next(end) {
    const due = [...this.#timers].filter(([, { at }]) => at <= end);
    return due.sort(([, one], [, other]) => one.at - other.at)[0];
  }
}
