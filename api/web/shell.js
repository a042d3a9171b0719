// The frame of every view: skip link, header with search and navigation, announcements, footer.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { live as asShown } from "./vendor/lit-html/directives/live.js";
import { api } from "./api.js";
import { limitsOf } from "./limits.js";
import { live } from "./realtime/live.js";
import { navigate } from "./navigation.js";
import { openReports } from "./open_reports.js";
import { session } from "./session.js";
import { isUpgraded } from "./upgrade.js";
import { Suggestions } from "./suggestions.js";
import { update } from "./page.js";
import { announce, announcer } from "./ui/announcer.js";
import { bellIcon, carIcon, menuIcon, messageIcon, searchIcon } from "./ui/icons.js";
import { andBack } from "./where_to.js";
import { LIST_ID, activeId, suggestionList } from "./ui/suggestions.js";

/** The libraries that the page uses, with their authors and licences. */
const LIBRARIES = new URL("vendor/README.md", import.meta.url).href;

/** `isWaiting` is true while the next view takes long to come. */
export function shell(view, isWaiting) {
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  };
  return html`<a class="skip-link" href="#main" @click=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="/">${carIcon}<span translate="no">Daveslist</span></a>
      ${search()}
      <nav aria-label="Main">${session.user ? forUser() : forVisitor()}</nav>
    </header>
    ${announcer()}${live.warnings()}${isWaiting ? html`<p class="waiting" role="status">Loading…</p>` : nothing}
    <main id="main" tabindex="-1" class=${view.layout ?? ""} @click=${(event) => forgetNotice(event, view)}>
      ${isUpgraded() ? upgradeNotice() : nothing}
      ${noticeOf(view)} ${view.template()}
    </main>
    <footer class="bottom">
      <p>Daveslist: used cars, from people nearby. <a href="/api/docs" target="_blank" rel="noopener">API</a> ·
        <a href=${LIBRARIES} target="_blank" rel="noopener">Libraries</a></p>
      ${session.user ? state() : nothing}
    </footer>`;
}

function noticeOf({ notice, objectionToken }) {
  if (!notice) return nothing;
  return html`<p class="notice" role="status">
    ${notice} ${objectionToken ? html`<a href=${`/objection#${objectionToken}`}>Object to this</a>` : nothing}
  </p>`;
}

const upgradeNotice = () =>
  html`<p class="notice" role="status" data-upgrade>
    Daveslist has been updated. <button class="link" @click=${() => location.reload()}>Load the new version</button>
  </p>`;

/** The next thing that somebody does makes the notice of the last one old. */
function forgetNotice(event, view) {
  if (!view.notice || !event.target.closest("button")) return;
  view.notice = "";
  update();
}

const asked = () => new URLSearchParams(location.pathname === "/" ? location.search : "");

/** Searches for words, with the filters of the last search. */
function searchFor(words) {
  const query = asked();
  query.delete("verbatim");
  if (words) query.set("q", words);
  else query.delete("q");
  // Without words there is no best match.
  if (!words && query.get("sort") === "relevance") query.delete("sort");
  navigate(query.size ? `/?${query}` : "/");
}

const suggestions = new Suggestions({
  find: async (q, signal) => (await api.get("/api/suggestions", { query: { q, limit: 8 }, signal })).data,
  take: searchFor,
  changed: update,
  say: announce,
});
/** The address for which the field was drawn last. */
let address = "";

function search() {
  if (address !== location.href) {
    address = location.href;
    suggestions.text = null;
  }
  const go = (event) => {
    event.preventDefault();
    const words = new FormData(event.currentTarget).get("q").trim();
    suggestions.forget();
    searchFor(words);
  };
  const press = (event) => {
    if (suggestions.pressed(event.key)) event.preventDefault();
  };
  return html`<form class="search" role="search" aria-label="Cars" @submit=${go}>
    <input
      type="search"
      name="q"
      role="combobox"
      aria-autocomplete="list"
      aria-expanded=${String(suggestions.isOpen)}
      aria-controls=${LIST_ID}
      aria-activedescendant=${activeId(suggestions)}
      maxlength=${limitsOf("ListingsQuery").q.maxlength}
      autocomplete="off"
      aria-label="Search cars"
      placeholder="Make, model, place, anything"
      .value=${asShown(suggestions.text ?? asked().get("q") ?? "")}
      @input=${(event) => suggestions.typed(event.currentTarget.value)}
      @keydown=${press}
      @blur=${() => suggestions.close()}
    />
    <button class="icon-button" aria-label="Search">${searchIcon}</button>
    ${suggestionList(suggestions)}
  </form>`;
}

const link = (path, words, query = "") =>
  html`<a href=${path + query} aria-current=${location.pathname === path ? "page" : nothing}>${words}</a>`;

function forVisitor() {
  const query = andBack();
  return html`${link("/login", "Log in", query)}<a class="button primary small register" href=${`/register${query}`}>Register</a>`;
}

function forUser() {
  const { unread } = live;
  if (menuAddress !== location.href) {
    menuAddress = location.href;
    isMenuOpen = false;
  }
  const messages = html`${messageIcon}<span class="word">Messages</span>${unread
    ? html`<span class="badge" data-unread=${unread}>${unread}<span class="for-readers"> unread</span></span>`
    : nothing}`;
  return html`${link("/messages", messages)} ${bell()}
  <button
    class="menu-button"
    aria-label="Menu"
    aria-expanded=${String(isMenuOpen)}
    aria-controls="menu"
    @click=${() => openMenu(!isMenuOpen)}
    @keydown=${closeByEscape}
  >
    ${menuIcon}
  </button>
  <div id="menu" class="nav-menu" data-open=${String(isMenuOpen)} @keydown=${closeByEscape} @focusout=${closeWhenLeft}>
    ${session.is("moderator") ? link("/moderation", moderation()) : nothing}
    ${session.is("admin") ? link("/admin", "Admin") : nothing}
    ${link("/account", html`<bdi translate="no">${session.user.name}</bdi>`)}
    <button class="link" @click=${logOut}>Log out</button>
    <a class="button primary small" href="/listings/new">Sell a car</a>
  </div>`;
}

function moderation() {
  const { count } = openReports;
  return html`Moderation${count
    ? html`<span class="badge" data-waiting=${count}>${count}<span class="for-readers"> waiting</span></span>`
    : nothing}`;
}

/** On a narrow screen the less important links are in a menu; on a wide one they are always there. */
let isMenuOpen = false;
let menuAddress = "";

function openMenu(isOpen) {
  isMenuOpen = isOpen;
  update();
}

function closeByEscape(event) {
  if (event.key !== "Escape" || !isMenuOpen) return;
  openMenu(false);
  document.querySelector(".menu-button").focus();
}

function closeWhenLeft(event) {
  const next = event.relatedTarget;
  if (next && !event.currentTarget.contains(next) && !next.matches(".menu-button")) openMenu(false);
}

document.addEventListener("click", (event) => {
  if (isMenuOpen && !event.target.closest(".nav-menu, .menu-button")) openMenu(false);
});

function bell() {
  const { unseen } = live;
  const words = unseen ? `Alerts, ${unseen} new` : "Alerts";
  return html`<a class="bell" href="/alerts" aria-label=${words} aria-current=${location.pathname === "/alerts" ? "page" : nothing}
    >${bellIcon}${unseen ? html`<span class="badge" data-unseen=${unseen}>${unseen}</span>` : nothing}</a
  >`;
}

function state() {
  const { connection } = live;
  return html`<p class="connection" data-state=${connection.state} data-longpoll=${String(connection.isLongPoll)}>
    <span class="dot" aria-hidden="true"></span><span role="status">${connection.words}</span>
  </p>`;
}

async function logOut() {
  try {
    await api.post("/api/logout");
  } catch {
    // The session ends here in any case; on the server it ends at the latest when its tokens expire.
  }
  session.end();
  navigate("/", { notice: "You are logged out." });
}
