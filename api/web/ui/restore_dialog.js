// The question into which category a listing goes back from the trash.

import { api } from "../api.js";
import { categories } from "../categories.js";
import { isolated } from "../isolate.js";
import { Dialog } from "./dialog.js";
import { select } from "./form.js";

/** Opened with a listing of the trash. `restored(listing)` is called when it is back. */
export function restoreDialog(view, restored) {
  return new Dialog(view, "restore", {
    title: (listing) => `Restore “${isolated(listing?.title ?? "")}”?`,
    action: "Restore",
    fields: (form, listing) =>
      select(form, {
        name: "category_id",
        label: "Into which category",
        required: listing?.trashed.category_is_gone,
        options: [
          ["", listing?.trashed.category_is_gone ? "Its category is gone: choose…" : "The one it was in"],
          ...categories().map((one) => [one.id, one.name]),
        ],
      }),
    submit: async ({ category_id }, listing) => {
      await restore(listing.id, category_id);
      restored(listing);
    },
  });
}

export const restore = (id, category) =>
  api.post(`/api/trash/${id}/restore`, category ? { category_id: Number(category) } : {});
