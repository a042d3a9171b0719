// How many reports are open, for moderators: asked when the page opens, when they look at it again, and from time to time.

import { api } from "./api.js";
import { update } from "./page.js";
import { session } from "./session.js";

const ASK_EVERY_MS = 120_000;

class OpenReports {
  count = 0;

  constructor() {
    const askIfSeen = () => document.visibilityState === "visible" && this.ask();
    setInterval(askIfSeen, ASK_EVERY_MS);
    document.addEventListener("visibilitychange", askIfSeen);
    session.onChange(({ isOtherPerson }) => isOtherPerson && this.ask());
    this.ask();
  }

  async ask() {
    if (!session.is("moderator")) {
      this.count = 0;
      return;
    }
    try {
      const { open } = await api.get("/api/reports", { query: { limit: 1 } });
      if (open !== this.count) update();
      this.count = open;
    } catch {
      // The number is only a hint.
    }
  }
}

export const openReports = new OpenReports();
