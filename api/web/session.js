// The user who is logged in on this browser, and the user's tokens, which all tabs share and this module keeps fresh.
//
// The tokens are in the browser's storage. The API accepts them only in a header, so no other site can act for the
// user, as it could with a cookie (CSRF). Script injection remains a danger; the page's policy prevents it: no inline
// scripts, and Trusted Types. Tokens in memory would not be safer, because an injected script could call this module,
// and each reload would log the user out. Access tokens are short-lived. If someone else has used a refresh token, its
// next use ends the session.

import { Problem } from "./problem.js";
import { onWrittenElsewhere, readAtOnce, readForSure, write, writeDeviceId } from "./session_store.js";

const LOCK = "daveslist.refresh";
/** A token is replaced when it expires within this time, or when half of a very short life is over. */
const EARLY_MS = 60_000;
const CHECK_AT_MOST_EVERY_MS = 1_000;
const REFRESH_MS = 20_000;

class Session {
  #listeners = [];
  #stored = readAtOnce();
  #timer = null;
  #checkedAt = 0;
  #checkTimer = null;

  constructor() {
    // Another tab has logged in or out, or has a fresh token.
    onWrittenElsewhere((stored) => this.#become(stored));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.check();
    });
    this.#refreshInTime();
  }

  /** The user, {id, email, name, role}, or null for a visitor. */
  get user() {
    return this.#stored?.user ?? null;
  }

  /** Whether the user has at least this role: "user", "moderator" or "admin". */
  is(role) {
    const ranks = ["user", "moderator", "admin"];
    return this.user !== null && ranks.indexOf(this.user.role) >= ranks.indexOf(role);
  }

  /** The current token, possibly expired, for callers that cannot wait; null for a visitor. */
  get token() {
    return this.#stored?.access_token ?? null;
  }

  /** `listener({isOtherPerson, token, why})` is called after each change; `why` is a Problem, or null. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** Stores the answer of a registration, a log-in or a refresh. */
  begin({ device_id: deviceId, ...answer }) {
    if (deviceId) writeDeviceId(deviceId);
    const life = answer.expires_in * 1000;
    return this.#keep({ ...answer, refresh_at: Date.now() + Math.max(life - EARLY_MS, life / 2) });
  }

  /** Ends the session in this browser. `why` is the Problem because of which it ends, if the user did not ask for it. */
  end(why = null) {
    return this.#keep(null, why);
  }

  /** Stores only the user's profile, so that older tokens do not overwrite newer ones. */
  rename(user) {
    return alone(async () => {
      const stored = await readForSure();
      if (stored && stored.user.id === user.id) await this.#keep({ ...stored, user: { ...stored.user, ...user } });
    });
  }

  /** Resolves with a token that is valid for a while, or null for a visitor. Throws Problem if the refresh failed. */
  async freshToken() {
    if (!this.#stored || this.#stored.refresh_at > Date.now()) return this.token;
    return this.refresh(this.token);
  }

  /**
   * Replaces a token that was refused or is about to expire. Resolves with the new one, or null if the session ended.
   */
  async refresh(token) {
    return alone(async () => {
      // While this tab waited, another tab may have used the refresh token and got a new one.
      const stored = await readForSure();
      if (!stored || stored.access_token !== token) {
        this.#become(stored);
        return this.token;
      }
      const body = JSON.stringify({ refresh_token: stored.refresh_token });
      const headers = { "Content-Type": "application/json" };
      let response;
      try {
        // All tabs wait for it. If only the answer is late, the same refresh token is good for another one (REFRESH_GRACE_SECONDS).
        const signal = AbortSignal.timeout?.(REFRESH_MS);
        response = await fetch("/api/token/refresh", { method: "POST", headers, body, signal });
      } catch {
        throw Problem.unreachable();
      }
      if (response.ok) {
        await this.begin(await response.json());
        return this.token;
      }
      const problem = await Problem.fromResponse(response);
      if (response.status !== 401 && response.status !== 403) throw problem;
      await this.end(problem.type === "banned" ? problem : new Problem({ title: "You have been logged out. Please log in again." }));
      return null;
    });
  }

  /** Asks the API whether the session is still valid and what the user's role is now. */
  async check() {
    if (!this.#stored) return;
    const wait = this.#checkedAt + CHECK_AT_MOST_EVERY_MS - Date.now();
    if (wait > 0) {
      this.#checkTimer ??= setTimeout(() => this.check(), wait);
      return;
    }
    clearTimeout(this.#checkTimer);
    this.#checkTimer = null;
    this.#checkedAt = Date.now();
    try {
      const token = await this.freshToken();
      const response = await fetch("/api/me", { headers: { Authorization: `Bearer ${token}` } });
      if (response.ok) {
        const profile = await response.json();
        const { id, email, name, role, has_warning: hasWarning } = profile;
        const user = this.user;
        const isNews = user && user.id === id && (user.name !== name || user.role !== role || user.email !== email || user.has_warning !== hasWarning);
        if (isNews) await this.rename(profile);
      } else if (response.status === 401) {
        await this.refresh(token);
      } else if (response.status === 403) {
        this.end(await Problem.fromResponse(response));
      }
    } catch {
      // The API cannot be reached: the next check decides.
    }
  }

  #keep(stored, why = null) {
    const writing = write(stored);
    this.#become(stored, why);
    return writing;
  }

  #become(stored, why = null) {
    const before = this.#stored;
    this.#stored = stored;
    this.#refreshInTime();
    const isOtherPerson = before?.user.id !== stored?.user.id || before?.user.role !== stored?.user.role;
    const token = stored && before?.access_token !== stored.access_token ? stored.access_token : null;
    for (const listener of this.#listeners) listener({ isOtherPerson, token, why });
  }

  /** Refreshes the token before it expires: the live connection needs a valid one even without REST requests. */
  #refreshInTime() {
    clearTimeout(this.#timer);
    if (!this.#stored) return;
    const wait = Math.max(1_000, this.#stored.refresh_at - Date.now());
    this.#timer = setTimeout(async () => {
      try {
        await this.freshToken();
      } catch {
        this.#timer = setTimeout(() => this.#refreshInTime(), 5_000);
      }
    }, Math.min(wait, 2 ** 31 - 1));
  }
}

/**
 * Runs `work` in one tab at a time. Browsers have locks only for pages from HTTPS or localhost; elsewhere `work` runs
 * without a lock.
 */
function alone(work) {
  return navigator.locks ? navigator.locks.request(LOCK, work) : work();
}

export const session = new Session();
