// Follows the moderators' queue by the channel `moderation`: what has changed, and who holds which group.

import { LiveModeration } from "./live_moderation.js";

/** The names of groups in presence, on the page and in the API. */
export const keyOf = ({ kind, id }) => `${kind}:${id}`;

export class LiveQueue {
  #live;
  #holders = new Map();
  /** The group that this page holds, or wants to hold; null for none. */
  #wanted = null;

  /**
   * `connection` is as in live.js, `me` the id of the moderator. Callbacks: `changed({kind, id})` is told of a group
   * that may have changed, `personChanged(id)` of a person to whom something was done, or who has objected; `readAgain()`
   * that all may have, and `held()` that other groups are held.
   */
  constructor({ connection, me, changed, personChanged, readAgain, held }) {
    this.me = me;
    const aboutPerson = ({ person_id: id }) => personChanged(id);
    this.#live = new LiveModeration({
      connection,
      readAgain,
      joined: () => this.#wanted && this.claim(this.#wanted),
      on: {
        reported: changed,
        resolved: changed,
        reopened: changed,
        sanctioned: aboutPerson,
        objected: aboutPerson,
        decided: aboutPerson,
        taken: (group) => {
          if (this.#wanted && keyOf(group) === keyOf(this.#wanted) && group.by.id !== me) this.#wanted = null;
        },
      },
      follow: (presence) => {
        presence.onSync(() => {
          this.#holders = new Map(presence.list((key, { metas }) => [key, first(metas)]));
          held();
        });
      },
    });
  }

  start() {
    this.#live.start();
  }

  stop() {
    this.#live.stop();
  }

  /** The other moderator who holds the group, `{user_id, name}`; null if nobody or this one does. */
  holder(group) {
    const holder = this.#holders.get(keyOf(group));
    return holder && holder.user_id !== this.me ? holder : null;
  }

  /** Claims a group, and ends the claim of another one. With `take`, it is taken from whoever holds it. */
  claim({ kind, id }, { take = false } = {}) {
    this.#wanted = { kind, id };
    this.#live.channel?.push("claim", take ? { kind, id, take } : { kind, id });
  }
}

/** Who claimed first holds the group; all devices agree, because all have the same metas. */
function first(metas) {
  return [...metas].sort((one, other) => one.at - other.at || (one.phx_ref < other.phx_ref ? -1 : 1))[0];
}
