// Follows the moderators' queue by the channel `moderation`: what has changed, and who holds which group.

import { LiveChannel } from "./live_channel.js";

/** The names of groups in presence, on the page and in the API. */
export const keyOf = ({ kind, id }) => `${kind}:${id}`;

const EVENTS = ["reported", "resolved", "reopened"];

export class LiveQueue {
  #holders = new Map();
  /** The group that this page holds, or wants to hold; null for none. */
  #wanted = null;

  /**
   * `connection` is as in live.js, `me` the id of the moderator. Callbacks: `changed({kind, id})` is told of a group
   * that may have changed, `readAgain()` that all may have, and `held()` that other groups are held.
   */
  constructor({ connection, me, changed, readAgain, held }) {
    this.connection = connection;
    this.me = me;
    this.tell = { changed, readAgain, held };
    this.live = new LiveChannel(connection, "moderation", (channel, joining) => this.#joined(channel, joining));
  }

  start() {
    this.live.start();
  }

  stop() {
    this.live.stop();
  }

  /** The other moderator who holds the group, `{user_id, name}`; null if nobody or this one does. */
  holder(group) {
    const holder = this.#holders.get(keyOf(group));
    return holder && holder.user_id !== this.me ? holder : null;
  }

  /** Claims a group, and ends the claim of another one. With `take`, it is taken from whoever holds it. */
  claim({ kind, id }, { take = false } = {}) {
    this.#wanted = { kind, id };
    this.live.channel?.push("claim", take ? { kind, id, take } : { kind, id });
  }

  #joined(channel, joining) {
    let isFirst = true;
    joining.receive("ok", () => {
      // Something may have happened while there was no connection. The first join is part of the first load.
      if (!isFirst) this.tell.readAgain();
      isFirst = false;
      if (this.#wanted) this.claim(this.#wanted);
    });
    for (const event of EVENTS) channel.on(event, (group) => this.tell.changed(group));
    channel.on("look_again", () => this.tell.readAgain());
    channel.on("taken", (group) => {
      if (this.#wanted && keyOf(group) === keyOf(this.#wanted) && group.by.id !== this.me) this.#wanted = null;
    });
    const presence = this.connection.presence(channel);
    presence.onSync(() => {
      this.#holders = new Map(presence.list((key, { metas }) => [key, first(metas)]));
      this.tell.held();
    });
  }
}

/** Who claimed first holds the group; all devices agree, because all have the same metas. */
function first(metas) {
  return [...metas].sort((one, other) => one.at - other.at || (one.phx_ref < other.phx_ref ? -1 : 1))[0];
}
