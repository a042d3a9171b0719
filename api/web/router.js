// Maps addresses to views, and goes from one to another without loading the page again.

import { contained } from "./isolate.js";
import { bringScript, prepareScript, scriptHere } from "./later_scripts.js";
import { update } from "./page.js";
import { Problem } from "./problem.js";
import { live } from "./realtime/live.js";
import { session } from "./session.js";
import { isUpgraded, lookForUpgrade } from "./upgrade.js";
import { announce } from "./ui/announcer.js";
import { Browse } from "./views/browse.js";
import { Listing } from "./views/listing.js";
import { Missing } from "./views/missing.js";
import { NotAllowed } from "./views/not_allowed.js";
import { Unavailable } from "./views/unavailable.js";
import { View } from "./view.js";

/** Names a view that is in a later script. */
const newcomers = (name) => ({ script: "newcomers", name });
const users = (name) => ({ script: "users", name });
const staff = (name) => ({ script: "staff", name });

/**
 * Path, view, and the lowest role that may open it. api/handlers/web.py has the same, so that a browser loads a view's
 * script together with the page. Ids are digits, as in api/handlers/failed_pages.py.
 */
const ROUTES = [
  ["/", Browse, null],
  ["/account", users("Account"), "user"],
  ["/account/sanctions", users("Sanctions"), "user"],
  ["/address/confirm", newcomers("Confirm"), null],
  ["/admin", staff("People"), "admin"],
  ["/admin/audit", staff("Audit"), "admin"],
  ["/admin/system", staff("System"), "admin"],
  ["/alerts", users("AlertsView"), "user"],
  ["/favourites", users("Favourites"), "user"],
  ["/listings/deleted", users("Deleted"), "user"],
  ["/listings/new", users("EditListing"), "user"],
  ["/listings/{id}", Listing, null],
  ["/listings/{id}/edit", users("EditListing"), "user"],
  ["/login", newcomers("Login"), null],
  ["/messages", users("Messages"), "user"],
  ["/messages/{user_id}", users("Messages"), "user"],
  ["/moderation", staff("Reports"), "moderator"],
  ["/moderation/categories", staff("Categories"), "moderator"],
  ["/moderation/hidden", staff("Hidden"), "moderator"],
  ["/moderation/objections", staff("Objections"), "moderator"],
  ["/moderation/people/{id}", staff("Person"), "moderator"],
  ["/moderation/trash", staff("Trash"), "moderator"],
  ["/objection", newcomers("Objection"), null],
  ["/password/forgotten", newcomers("Forgotten"), null],
  ["/password/reset", newcomers("Reset"), null],
  ["/register", newcomers("Register"), null],
  ["/searches", users("Searches"), "user"],
].map(([path, view, role]) => [new RegExp(`^${path.replace(/\{(\w+)\}/g, "(?<$1>[1-9]\\d{0,18})")}/?$`), view, role]);

/** So long after the last scrolling the place is noted: some browsers allow it only a few times a second. */
const NOTED_AFTER_MS = 250;
/** If a view's script takes longer, the page says that it loads. Until then it stays as it is. */
const WAITS_UNSEEN_MS = 400;
/** If a script is not there, the page is loaded again by itself at most this often. */
const RELOADED_EVERY_MS = 60_000;
const RELOADED = "daveslist.reloaded";

class Blank extends View {
  title = "Daveslist";

  template() {
    return "";
  }
}

class Router {
  /** What is shown; null until the script of the first view is here. */
  view = null;
  /** True while the script of the next view takes long. */
  isWaiting = false;
  /** Counts what was to be shown, so that what comes late is not. */
  #turn = 0;
  #path = "";
  #url = "";
  /** What had the focus when the view was asked for that has to show its heading yet; null if none has to. */
  #focusFrom = null;
  #scrollTo = null;
  /** Where the page was before it was loaded again; null when it is there. */
  #restore = null;
  #noting = null;
  /** The last search. Going back shows it again as it was, with all its pages. */
  #kept = null;

  start() {
    history.scrollRestoration = "manual";
    window.addEventListener("popstate", (event) => {
      this.#keepScroll();
      this.#show({ isBack: true, scroll: event.state?.scroll ?? 0, notice: "" });
    });
    document.addEventListener("click", followLink);
    // Whoever points at a link may press it: its script can be here by then.
    for (const kind of ["pointerover", "touchstart", "focusin"]) {
      document.addEventListener(kind, prepareLink, { passive: true });
    }
    // Whoever fills in one of these forms will soon be logged in.
    document.addEventListener("input", () => {
      if (!session.user && wantedView().view.script === "newcomers") prepareScript("users");
    });
    // What a reload needs to show the same place again. While a page is being left, it is too late to note it.
    addEventListener("scroll", () => {
      clearTimeout(this.#noting);
      this.#noting = setTimeout(() => this.#note(), NOTED_AFTER_MS);
    });
    this.#restore = history.state?.scroll ?? null;
    this.#show({ isFirst: true });
  }

  /** Opens the current address again, because another person is logged in now. `why` is the Problem that ended a session, or null. */
  restart(why) {
    this.#keep(null);
    // What was shown to another person goes at once, also while the script of the next view is under way.
    if (this.view && !isHere(wantedView().view)) {
      this.view.stop();
      this.view = new Blank({});
    }
    this.#show({ notice: why?.message, objectionToken: why?.objectionToken, isRestart: true });
  }

  /** `replace` adds no entry to the browser's history; the view that opens shows `notice`. */
  go(url, { replace = false, notice = "" } = {}) {
    if (!replace) {
      clearTimeout(this.#noting);
      this.#note();
      history.pushState({ scroll: 0 }, "", url);
    } else {
      history.replaceState({ scroll: 0 }, "", url);
    }
    this.#show({ notice });
  }

  /** Called after each drawing. A new view begins at its top, with the focus on its heading for screen readers. */
  drawn() {
    if (this.#restore !== null && !this.view.isPending) {
      this.#scrollTo = this.#restore;
      this.#restore = null;
    }
    if (this.#scrollTo !== null) {
      scrollTo(0, this.#scrollTo);
      this.#scrollTo = null;
    }
    const { pages } = this.view.listings ?? {};
    if (pages > 1 && pages !== history.state?.pages) this.#note();
    if (this.#focusFrom) {
      const heading = document.querySelector("main h1");
      if (!heading) return;
      if (!hasMovedOn(this.#focusFrom)) {
        heading.tabIndex = -1;
        heading.focus({ preventScroll: true });
      }
      this.#focusFrom = null;
    }
  }

  #note() {
    // Until the page is there again, this place is not the one to come back to.
    if (this.#restore !== null) return;
    const pages = this.view?.listings?.pages ?? 1;
    history.replaceState({ ...history.state, scroll: scrollY, pages }, "");
  }

  #keep(kept) {
    if (this.#kept?.view !== kept?.view) this.#kept?.view.stop();
    this.#kept = kept;
  }

  #leave(view) {
    if (view && view !== this.view && view !== this.#kept?.view) view.stop();
  }

  #keepScroll() {
    if (this.#kept && this.#kept.view === this.view) this.#kept.scroll = scrollY;
  }

  #show({ focusFrom = document.activeElement ?? document.body, ...given }) {
    const options = { focusFrom, ...given };
    const turn = (this.#turn += 1);
    const path = rightPath(location.pathname);
    if (path) history.replaceState(history.state, "", path + location.search + location.hash);
    this.isWaiting = false;
    const wanted = wantedView(options.notice, options.objectionToken);
    if (isHere(wanted.view)) this.#open(wanted, options);
    else this.#openLater(wanted.view.script, options, turn);
  }

  /** Shows the view when its script is here. The one before stays meanwhile. */
  async #openLater(script, options, turn) {
    const slow = setTimeout(() => {
      this.isWaiting = turn === this.#turn;
      update();
    }, WAITS_UNSEEN_MS);
    let problem = null;
    try {
      await (script === "users" ? live.open() : bringScript(script));
    } catch (error) {
      problem = Problem.of(error);
    }
    clearTimeout(slow);
    if (turn !== this.#turn) return;
    if (!problem) return this.#show(options);
    // What is typed is kept, so the page can be loaded again.
    if (isUpgraded() && mayReload()) return location.reload();
    this.isWaiting = false;
    const again = () => (isUpgraded() ? location.reload() : this.#show(options));
    this.#open({ make: () => new Unavailable(problem, again) }, options);
  }

  #open({ make }, { focusFrom, isFirst = false, isBack = false, isRestart = false, scroll = 0 }) {
    const before = this.view;
    if (!isFirst) this.#restore = null;
    const isSamePath = this.#path === location.pathname;
    if (before instanceof Browse && !isBack) this.#keep({ url: this.#url, view: before, scroll: scrollY });
    this.#path = location.pathname;
    this.#url = location.pathname + location.search;
    if (isBack && this.#kept?.url === this.#url) {
      this.view = this.#kept.view;
      this.view.shownAgain();
      this.#leave(before);
      this.#scrollTo = this.#kept.scroll || scroll;
    } else {
      this.view = make();
      this.#leave(before);
      this.view.start(before?.constructor === this.view.constructor && !isRestart ? before : null);
      if (!isSamePath && !isFirst) this.#scrollTo = 0;
    }
    // The same address may show another view now, for example the log-in that it needs.
    const isAnother = !isFirst && !(isSamePath && before?.constructor === this.view.constructor);
    this.#focusFrom = isAnother ? focusFrom : null;
    if (isAnother) announce(this.view.title);
    update();
    if (session.is("moderator")) whenIdle(() => prepareScript("staff"));
  }
}

/** Whether somebody has come to another link, button or field meanwhile. Nobody's focus is taken away. */
function hasMovedOn(focusFrom) {
  const focused = document.activeElement;
  return focused !== focusFrom && Boolean(focused?.matches("a, button, input, select, summary, textarea"));
}

/** Returns {view, make}: the view for the current address and the person who is logged in, and what makes it. */
function wantedView(notice = "", objectionToken = "") {
  // Anybody can write a link.
  const query = new URLSearchParams([...new URLSearchParams(location.search)].map((one) => one.map(contained)));
  const { view, role, params } = routeOf(location.pathname);
  const wanted = (view, options) => ({ view, make: () => new (classOf(view))(options) });
  if (role && !session.user) {
    const next = location.pathname + location.search;
    return wanted(LOGIN, { query: new URLSearchParams({ next }), notice: notice || "Please log in first.", objectionToken });
  }
  if (role && !session.is(role)) return wanted(NotAllowed, {});
  return wanted(view, { params, query, notice, objectionToken });
}

const LOGIN = newcomers("Login");

function routeOf(path) {
  for (const [pattern, view, role] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { view, role, params: { ...match.groups } };
  }
  return { view: Missing, role: null, params: {} };
}

/** Returns the page's path that differs from this one only by capital letters or slashes, as the server does; or null. */
function rightPath(path) {
  const meant = `/${path.toLowerCase().split("/").filter(Boolean).join("/")}`;
  return meant !== path && routeOf(meant).view !== Missing ? meant : null;
}

const classOf = (view) => (view.script ? scriptHere(view.script)[view.name] : view);

/** The script of people who are logged in is here when what is live for them is open too. */
const isHere = ({ script }) => !script || (script === "users" ? live.isKept : scriptHere(script) !== undefined);

const whenIdle = globalThis.requestIdleCallback ?? setTimeout;

function prepareLink({ target }) {
  const link = target.closest?.("a[href]");
  if (link?.origin !== location.origin) return;
  const { view, role } = routeOf(link.pathname);
  const { script } = role && !session.user ? LOGIN : view;
  if (script) prepareScript(script);
}

/** Whether to load the page again by itself. Without storage nobody would know how often it was. */
function mayReload() {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < RELOADED_EVERY_MS) return false;
    sessionStorage.setItem(RELOADED, Date.now());
    return true;
  } catch {
    return false;
  }
}

/** Opens links to the page's own addresses without loading it again; all other clicks are left to the browser. */
function followLink(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (url.pathname.startsWith("/api") || url.hash) return;
  // What is typed is kept, so the browser may load the new version of the page from the server.
  if (isUpgraded()) return;
  lookForUpgrade();
  event.preventDefault();
  router.go(url.pathname + url.search);
}

export const router = new Router();
