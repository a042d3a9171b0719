// Maps addresses to views, and goes from one to another without loading the page again.

import { contained } from "./isolate.js";
import { update } from "./page.js";
import { session } from "./session.js";
import { isUpgraded, lookForUpgrade } from "./upgrade.js";
import { announce } from "./ui/announcer.js";
import { Account } from "./views/account.js";
import { AlertsView } from "./views/alerts.js";
import { Audit } from "./views/audit.js";
import { Browse } from "./views/browse.js";
import { Categories } from "./views/categories.js";
import { Confirm } from "./views/confirm.js";
import { Deleted } from "./views/deleted.js";
import { EditListing } from "./views/edit_listing.js";
import { Favourites } from "./views/favourites.js";
import { Forgotten } from "./views/forgotten.js";
import { Hidden } from "./views/hidden.js";
import { Listing } from "./views/listing.js";
import { Login } from "./views/login.js";
import { Messages } from "./views/messages.js";
import { Missing } from "./views/missing.js";
import { NotAllowed } from "./views/not_allowed.js";
import { People } from "./views/people.js";
import { Register } from "./views/register.js";
import { Reports } from "./views/reports.js";
import { Reset } from "./views/reset.js";
import { Searches } from "./views/searches.js";
import { Trash } from "./views/trash.js";

/** Path, view, and the lowest role that may open it. Ids are digits, as in api/handlers/failed_pages.py. */
const ROUTES = [
  ["/", Browse, null],
  ["/account", Account, "user"],
  ["/address/confirm", Confirm, null],
  ["/admin", People, "admin"],
  ["/admin/audit", Audit, "admin"],
  ["/alerts", AlertsView, "user"],
  ["/favourites", Favourites, "user"],
  ["/listings/deleted", Deleted, "user"],
  ["/listings/new", EditListing, "user"],
  ["/listings/{id}", Listing, null],
  ["/listings/{id}/edit", EditListing, "user"],
  ["/login", Login, null],
  ["/messages", Messages, "user"],
  ["/messages/{user_id}", Messages, "user"],
  ["/moderation", Reports, "moderator"],
  ["/moderation/categories", Categories, "moderator"],
  ["/moderation/hidden", Hidden, "moderator"],
  ["/moderation/trash", Trash, "moderator"],
  ["/password/forgotten", Forgotten, null],
  ["/password/reset", Reset, null],
  ["/register", Register, null],
  ["/searches", Searches, "user"],
].map(([path, view, role]) => [new RegExp(`^${path.replace(/\{(\w+)\}/g, "(?<$1>[1-9]\\d{0,18})")}/?$`), view, role]);

/** So long after the last scrolling the place is noted: some browsers allow it only a few times a second. */
const NOTED_AFTER_MS = 250;

class Router {
  view = null;
  #path = "";
  #url = "";
  #isToBeFocused = false;
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
    // What a reload needs to show the same place again. While a page is being left, it is too late to note it.
    addEventListener("scroll", () => {
      clearTimeout(this.#noting);
      this.#noting = setTimeout(() => this.#note(), NOTED_AFTER_MS);
    });
    this.#restore = history.state?.scroll ?? null;
    this.#show({ isFirst: true });
  }

  /** Opens the current address again, because another person is logged in now. */
  restart(notice) {
    this.#keep(null);
    this.#show({ notice, isRestart: true });
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
    if (this.#isToBeFocused) {
      const heading = document.querySelector("main h1");
      if (!heading) return;
      this.#isToBeFocused = false;
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
  }

  #note() {
    // Until the page is there again, this place is not the one to come back to.
    if (this.#restore !== null) return;
    const pages = this.view.listings?.pages ?? 1;
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

  #show({ isFirst = false, isBack = false, isRestart = false, scroll = 0, notice = "" }) {
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
      this.view = make(notice);
      this.#leave(before);
      this.view.start(before?.constructor === this.view.constructor && !isRestart ? before : null);
      if (!isSamePath && !isFirst) this.#scrollTo = 0;
    }
    // The same address may show another view now, for example the log-in that it needs.
    this.#isToBeFocused = !isFirst && !(isSamePath && before.constructor === this.view.constructor);
    if (this.#isToBeFocused) announce(this.view.title);
    update();
  }
}

function make(notice) {
  // Anybody can write a link.
  const query = new URLSearchParams([...new URLSearchParams(location.search)].map((one) => one.map(contained)));
  for (const [pattern, view, role] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (!match) continue;
    if (role && !session.user) {
      const next = location.pathname + location.search;
      return new Login({ query: new URLSearchParams({ next }), notice: notice || "Please log in first." });
    }
    if (role && !session.is(role)) return new NotAllowed({});
    return new view({ params: { ...match.groups }, query, notice });
  }
  return new Missing({});
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
