// Follows what runs by the channel `system`: the processes, what each gateway has to do, where a person is connected.

import { LiveChannel } from "./live_channel.js";

/** A gateway that has not reported for so long is shown no more, and neither are a person's connections to it. */
const FORGOTTEN_MS = 10_000;
/** A person's connections are asked for with every second event `nodes`: every six seconds. */
const ASK_EVERY = 2;

export class LiveSystem {
  #gateways = new Map();
  #devices = new Map();
  #asked = null;
  /** The events `nodes` since gateways were asked for the person's connections. */
  #rounds = 0;
  nodes = null;

  /** `connection` is as in live.js. `changed()` is called when anything here has changed. */
  constructor({ connection, changed }) {
    this.changed = changed;
    this.live = new LiveChannel(connection, "system", (channel, joining) => this.#joined(channel, joining));
  }

  start() {
    this.live.start();
  }

  stop() {
    this.live.stop();
  }

  /** The last report of each gateway that reports. */
  get gateways() {
    return fresh(this.#gateways);
  }

  /** The connections of the person who was asked about: of each its session, which may be null, and how it came. */
  get connections() {
    return fresh(this.#devices).flat();
  }

  /** Lets all gateways say where the person is connected, now and again and again; null for nobody. */
  ask(userId) {
    this.#asked = userId;
    this.#devices.clear();
    this.#askAgain();
  }

  #askAgain() {
    this.#rounds = 0;
    if (this.#asked !== null) this.live.channel?.push("devices", { user_id: this.#asked });
  }

  #joined(channel, joining) {
    joining.receive("ok", () => this.ask(this.#asked));
    channel.on("nodes", ({ nodes }) => {
      this.nodes = nodes;
      if ((this.#rounds += 1) === ASK_EVERY) this.#askAgain();
      this.changed();
    });
    channel.on("gateway", (report) => {
      this.#gateways.set(report.node, { what: report, at: performance.now() });
      this.changed();
    });
    channel.on("devices", ({ node, user_id: userId, devices }) => {
      if (userId !== this.#asked) return;
      this.#devices.set(node, { what: devices, at: performance.now() });
      this.changed();
    });
  }
}

/** What each gateway has said lately. */
function fresh(said) {
  const since = performance.now() - FORGOTTEN_MS;
  return [...said.values()].filter(({ at }) => at > since).map(({ what }) => what);
}
