// The dialog in which people tell the moderators of a listing, a reply, a person or a message.

import { api } from "../api.js";
import { Dialog } from "./dialog.js";
import { select, textarea } from "./form.js";

const ANYTHING = [
  ["spam", "It is spam"],
  ["fraud", "It looks like fraud"],
  ["offensive", "It is offensive"],
  ["unrelated", "It is not about the car"],
];
const OF_LISTINGS = [
  ["wrong_category", "It is in the wrong category"],
  ["sold", "It is sold"],
];
export const REPORTED = "Thank you. The moderators will look at it.";
const OTHER = ["other", "Something else"];

/**
 * `open({title, path, isListing, choices})` asks what is wrong with what `path` names, such as `/api/listings/5`. With
 * `choices`, [path, words], people first choose what it is about. `done()` is called when it is reported.
 */
export function reportDialog(view, done) {
  return new Dialog(view, "report", {
    title: (subject) => subject?.title ?? "",
    action: "Report",
    request: "ReportBody",
    fields: (form, subject) => [
      subject?.choices
        ? select(form, { name: "about", label: "What it is about", options: subject.choices, required: true })
        : [],
      select(form, {
        name: "reason",
        label: "Reason",
        options: [["", "Choose…"], ...ANYTHING, ...(subject?.isListing ? OF_LISTINGS : []), OTHER],
        required: true,
      }),
      textarea(form, { name: "text", label: "More about it (optional)" }),
    ],
    submit: async ({ about, ...values }, { path }) => {
      await api.make(`${about ?? path}/reports`, values);
      done();
    },
  });
}
