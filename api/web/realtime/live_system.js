// Follows what runs by the channel `system`: the processes, what each gateway has to do, where a person is connected.

import { LiveChannel } from "./live_channel.js";

/** A gateway that has not reported for so long is shown no more. */
const FORGOTTEN_MS = 10_000;

export class LiveSystem {
  #gateways = new Map();
  #devices = new Map();
  #asked = null;
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
    const since = performance.now() - FORGOTTEN_MS;
    return [...this.#gateways.values()].filter(({ at }) => at > since).map(({ report }) => report);
  }

  /** The connections of the person who was asked about, by session. */
  connectionsOf(sessionId) {
    return [...this.#devices.values()].flat().filter((one) => one.session_id === sessionId);
  }

  /** Lets all gateways say where the person is connected; null for nobody. */
  ask(userId) {
    this.#asked = userId;
    this.#devices.clear();
    if (userId !== null) this.live.channel?.push("devices", { user_id: userId });
  }

  #joined(channel, joining) {
    joining.receive("ok", () => this.ask(this.#asked));
    channel.on("nodes", ({ nodes }) => {
      this.nodes = nodes;
      this.changed();
    });
    channel.on("gateway", (report) => {
      this.#gateways.set(report.node, { report, at: performance.now() });
      this.changed();
    });
    channel.on("devices", ({ node, user_id: userId, devices }) => {
      if (userId !== this.#asked) return;
      this.#devices.set(node, devices);
      this.changed();
    });
  }
}
