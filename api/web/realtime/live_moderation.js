// Follows the channel `moderation`, on which moderators hear what is reported, done and objected to.

import { LiveChannel } from "./live_channel.js";

export class LiveModeration extends LiveChannel {
  /**
   * `connection` is as in live.js; `on` has a listener for each event. `readAgain()` is called when events may have been missed,
   * `joined()` after each join, and `follow(presence)` is given who is present in the channel.
   */
  constructor({ connection, on, readAgain, joined = () => {}, follow = () => {} }) {
    super(connection, "moderation", (channel, joining) => {
      let isFirst = true;
      joining.receive("ok", () => {
        // Something may have happened while there was no connection. The first join is part of the first load.
        if (!isFirst) readAgain();
        isFirst = false;
        joined();
      });
      for (const [event, listener] of Object.entries({ look_again: readAgain, ...on })) channel.on(event, listener);
      follow(connection.presence(channel));
    });
  }
}
