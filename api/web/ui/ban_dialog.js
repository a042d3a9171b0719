// The dialog in which admins ban somebody.

import { api } from "../api.js";
import { now } from "../clock.js";
import { isolated } from "../isolate.js";
import { Dialog } from "./dialog.js";
import { select, textarea } from "./form.js";

const DAY_MS = 86_400_000;
const TIMES = [
  ["", "For good"],
  ["1", "One day"],
  ["7", "One week"],
  ["30", "30 days"],
];

/** `open(person)` opens the dialog; `done(person)` is called when the person is banned. */
export function banDialog(view, done) {
  return new Dialog(view, "ban", {
    title: (person) => `Ban ${isolated(person?.name ?? "")}?`,
    action: "Ban",
    request: "BanBody",
    isDanger: true,
    fields: (form) => [
      textarea(form, { name: "reason", label: "Reason (they are told)", rows: 2, required: true }),
      select(form, { name: "days", label: "For how long", options: TIMES }),
    ],
    submit: async ({ reason, days }, person) => {
      const until = days ? { until: new Date(now() + Number(days) * DAY_MS).toISOString() } : {};
      await api.put(`/api/users/${person.id}/ban`, { reason, ...until });
      done(person);
    },
  });
}
