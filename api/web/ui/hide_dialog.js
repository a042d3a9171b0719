// The dialog in which moderators hide a listing for some time.

import { api } from "../api.js";
import { now } from "../clock.js";
import { isolated } from "../isolate.js";
import { Dialog } from "./dialog.js";
import { select, textarea } from "./form.js";

const DAY_MS = 86_400_000;
const TIMES = [
  ["", "Until it is shown again"],
  ["1", "One day"],
  ["7", "One week"],
  ["30", "30 days"],
];

/** `open(listing)` opens the dialog; `done()` is called when the listing is hidden. */
export function hideDialog(view, done) {
  return new Dialog(view, "hide", {
    title: (listing) => `Hide “${isolated(listing?.title ?? "")}”?`,
    action: "Hide",
    request: "HideBody",
    fields: (form) => [
      select(form, { name: "days", label: "For how long", options: TIMES }),
      textarea(form, { name: "reason", label: "Reason (the seller is told)", rows: 2, required: true }),
    ],
    submit: async ({ days, reason }, listing) => {
      const until = days ? { until: new Date(now() + Number(days) * DAY_MS).toISOString() } : {};
      await api.put(`/api/listings/${listing.id}/hidden`, { reason, ...until });
      await done();
    },
  });
}
