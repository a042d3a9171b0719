// How many groups of the queue and how many objections wait for moderators: asked when the page opens, when they look at it again, and from time to time.

import { api } from "./api.js";
import { update } from "./page.js";
import { session } from "./session.js";

const ASK_EVERY_MS = 120_000;

class OpenReports {
  groups = 0;
  objections = 0;

  constructor() {
    const askIfSeen = () => document.visibilityState === "visible" && this.ask();
    setInterval(askIfSeen, ASK_EVERY_MS);
    document.addEventListener("visibilitychange", askIfSeen);
    session.onChange(({ isOtherPerson }) => isOtherPerson && this.ask());
    this.ask();
  }

  get count() {
    return this.groups + this.objections;
  }

  async ask() {
    if (!session.is("moderator")) {
      this.groups = this.objections = 0;
      return;
    }
    try {
      const before = this.count;
      const one = { query: { limit: 1 } };
      const [queue, objections] = await Promise.all([
        api.get("/api/moderation/queue", one),
        api.get("/api/objections", one),
      ]);
      this.groups = queue.groups;
      this.objections = objections.open;
      if (this.count !== before) update();
    } catch {
      // The number is only a hint.
    }
  }
}

export const openReports = new OpenReports();
