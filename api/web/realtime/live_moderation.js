// Follows the channel `moderation`, on which moderators hear what is reported, done and objected to.

import { LiveChannel } from "./live_channel.js";

export class LiveModeration extends LiveChannel {
  /**
   * `connection` is as in live.js; `on` has a listener for each event. `readAgain()` is called when events may have been missed,
   * as before each join, `joined()` after each join, and `follow(presence)` is given who is present in the channel.
   */
  constructor({ connection, on, readAgain, joined = () => {}, follow = () => {} }) {
    super(connection, "moderation", (channel, joining) => {
      joining.receive("ok", () => {
        // Something may have happened since the page was read, also before the first join.
        readAgain();
        joined();
      });
      for (const [event, listener] of Object.entries({ look_again: readAgain, ...on })) channel.on(event, listener);
      follow(connection.presence(channel));
    });
  }
}
