// Links between the pages for moderators, and between those for admins.

import { html, nothing } from "../vendor/lit-html/lit-html.js";

const MODERATION = [
  ["/moderation", "Reports"],
  ["/moderation/hidden", "Hidden"],
  ["/moderation/trash", "Trash"],
  ["/moderation/categories", "Categories"],
];
const ADMIN = [
  ["/admin", "People"],
  ["/admin/audit", "Audit"],
];

const tabs = (label, links) =>
  html`<nav class="tabs" aria-label=${label}>
    ${links.map(
      ([path, words]) =>
        html`<a href=${path} aria-current=${location.pathname === path ? "page" : nothing}>${words}</a>`,
    )}
  </nav>`;

export const moderationTabs = () => tabs("Moderation", MODERATION);
export const adminTabs = () => tabs("Admin", ADMIN);
