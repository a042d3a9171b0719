// Links between the pages for moderators, between those for admins, and between those about what a buyer hears of.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { openReports } from "../open_reports.js";

const moderation = (objections) => [
  ["/moderation", "Reports"],
  ["/moderation/objections", `Objections${objections ? ` (${objections})` : ""}`],
  ["/moderation/hidden", "Hidden"],
  ["/moderation/trash", "Trash"],
  ["/moderation/categories", "Categories"],
];
const ADMIN = [
  ["/admin", "People"],
  ["/admin/audit", "Audit"],
  ["/admin/system", "System"],
];

const MINE = [
  ["/alerts", "Alerts"],
  ["/searches", "Saved searches"],
  ["/favourites", "Favourites"],
];

const tabs = (label, links) =>
  html`<nav class="tabs" aria-label=${label}>
    ${links.map(
      ([path, words]) =>
        html`<a href=${path} aria-current=${location.pathname === path ? "page" : nothing}>${words}</a>`,
    )}
  </nav>`;

export const moderationTabs = () => tabs("Moderation", moderation(openReports.objections));
export const adminTabs = () => tabs("Admin", ADMIN);
export const myTabs = () => tabs("What you hear of", MINE);
