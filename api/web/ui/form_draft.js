// A form whose fields are kept while they are filled in, and filled in again when the form is opened the next time.

import { draftOf, keepDraft } from "../drafts.js";

const NOT_KEPT = ["file", "radio", "password"];
/** Password managers may show a password as plain text. */
const SECRET = /password|one-time-code/;

export class FormDraft {
  /** Fields that are not filled in yet, because the options of a list may come later: name -> [typed, before]. */
  #waiting = null;

  constructor(name) {
    this.name = name;
  }

  /** Call this after each drawing of a view with this form (ui/form.js). */
  drawn(view, { id }) {
    if (!view.isLeft) this.fill(document.getElementById(id), view.signal);
  }

  /** Call this after each drawing of the form. `signal` aborts when its view is left. */
  fill(form, signal) {
    if (!form) return;
    if (!this.#waiting) {
      this.#waiting = parsed(draftOf(this.name));
      // The element may be the one of the view before, with what was typed there.
      form.reset();
      form.addEventListener("input", () => this.#keep(form), { signal });
      form.addEventListener("change", () => this.#keep(form), { signal });
    }
    for (const [name, [typed, before]] of Object.entries(this.#waiting)) {
      const field = form.elements[name];
      // What was changed elsewhere meanwhile is not undone by an old draft.
      if (!field || initial(field) !== before) continue;
      field.value = typed;
      if (field.value === typed) delete this.#waiting[name];
    }
  }

  /** The form was sent. Returns the draft of the next text that is typed into it. */
  forget() {
    this.#waiting = {};
    this.isForgotten = true;
    keepDraft(this.name, "");
    return new FormDraft(this.name);
  }

  #keep(form) {
    if (this.isForgotten) return;
    const fields = [...form.elements].filter(isKept);
    const typed = fields.filter((field) => field.value !== initial(field));
    const draft = Object.fromEntries(typed.map((field) => [field.name, [field.value, initial(field)]]));
    keepDraft(this.name, typed.length ? JSON.stringify({ ...this.#waiting, ...draft }) : "");
  }
}

function parsed(text) {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}

const isKept = ({ name, type, autocomplete }) => name && !NOT_KEPT.includes(type) && !SECRET.test(autocomplete);

/** Returns the value that a field has before somebody changes it. */
function initial(field) {
  if (!field.options) return field.defaultValue;
  return ([...field.options].find((option) => option.defaultSelected) ?? field.options[0])?.value ?? "";
}
