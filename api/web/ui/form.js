// Forms: they tie labels, hints and errors to their fields, submit once at a time, and show the server's errors.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { limitsOf } from "../limits.js";
import { Problem } from "../problem.js";

/** The fields that these problems are about. */
const FIELD_OF = { "email-taken": "email", "wrong-password": "current_password", "category-name-taken": "name" };

export class Form {
  problem = null;
  isBusy = false;
  /** The text about a success, shown after the form. */
  done = "";
  #fields = new Set();

  /**
   * `submit(values, element)` does the work and may return a text to show; `id` is unique on the page. `request` names
   * the body or query of the API that gets the values: its limits become those of the inputs.
   */
  constructor(view, id, request, submit) {
    this.view = view;
    this.id = id;
    this.limits = limitsOf(request);
    this.submit = submit;
    this.onSubmit = (event) => this.#submitted(event);
    // What was said of the last success is no longer true of what is typed now.
    this.onInput = () => {
      if (!this.done) return;
      this.done = "";
      this.view.update();
    };
  }

  knows(field) {
    this.#fields.add(field);
  }

  /** The error of the form as a whole. */
  get fault() {
    if (!this.problem) return "";
    const beside = this.problem.beside([...this.#fields]);
    if (this.problem.status === 422 || this.#fields.has(FIELD_OF[this.problem.type])) return beside;
    return this.problem.message;
  }

  async #submitted(event) {
    event.preventDefault();
    if (this.isBusy) return;
    const element = event.currentTarget;
    this.isBusy = true;
    this.done = "";
    this.view.update();
    try {
      this.done = (await this.submit(valuesOf(element), element)) ?? "";
      this.problem = null;
    } catch (error) {
      this.problem = Problem.of(error);
      const field = FIELD_OF[this.problem.type];
      if (this.#fields.has(field)) this.problem.errors = { [field]: [this.problem.message] };
    }
    this.isBusy = false;
    this.view.update();
    if (this.problem) requestAnimationFrame(() => element.querySelector('[aria-invalid="true"], [role="alert"]')?.focus());
  }
}

/** Returns the values as they were typed, without empty fields. */
function valuesOf(element) {
  const entries = [...new FormData(element)].filter(([, value]) => typeof value === "string" && value.trim() !== "");
  return Object.fromEntries(entries);
}

/** A form element around its fields. */
export function formOf(form, { label, action, kind = "", extra = nothing }, fields) {
  return html`<form id=${form.id} class="form" aria-label=${label} @submit=${form.onSubmit} @input=${form.onInput}>
    ${fields}
    ${form.fault ? html`<p class="fault" role="alert" tabindex="-1">${form.fault}</p>` : nothing}
    <p class="actions">
      <button class="button primary ${kind}" ?disabled=${form.isBusy}>${form.isBusy ? "One moment…" : action}</button>
      ${extra}
    </p>
    <p class="done" role="status">${form.done}</p>
  </form>`;
}

/** An input with its label. `value` is the initial value. */
export function input(form, { name, label, type = "text", value = "", hint = "", ...overrides }) {
  const attributes = described(form, name, hint);
  // Inputs for passwords have no maxlength: it would silently cut a pasted password. The server reports the limit.
  const more = { ...(type === "password" ? {} : form.limits[name]), ...overrides };
  return field(
    form,
    { name, label, hint },
    html`<input
      id=${attributes.id}
      name=${name}
      type=${type}
      .defaultValue=${String(value ?? "")}
      ?required=${more.required}
      maxlength=${more.maxlength ?? nothing}
      min=${more.min ?? nothing}
      max=${more.max ?? nothing}
      step=${more.step ?? nothing}
      inputmode=${more.inputmode ?? nothing}
      list=${more.list ?? nothing}
      placeholder=${more.placeholder ?? nothing}
      autocomplete=${more.autocomplete ?? "off"}
      aria-describedby=${attributes.describedBy}
      aria-invalid=${attributes.isInvalid}
    />`,
  );
}

/** The hint at a new password. */
export function passwordHint(form) {
  return `At least ${form.limits.password.minlength} characters, for example several random words.`;
}

export function textarea(form, { name, label, value = "", hint = "", rows = 4, required = false }) {
  const attributes = described(form, name, hint);
  return field(
    form,
    { name, label, hint },
    html`<textarea
      id=${attributes.id}
      name=${name}
      rows=${rows}
      .defaultValue=${value ?? ""}
      ?required=${required}
      maxlength=${form.limits[name]?.maxlength ?? nothing}
      aria-describedby=${attributes.describedBy}
      aria-invalid=${attributes.isInvalid}
    ></textarea>`,
  );
}

/** `options` are [value, words]. */
export function select(form, { name, label, value = "", hint = "", options, required = false, onChange = null }) {
  const attributes = described(form, name, hint);
  return field(
    form,
    { name, label, hint },
    html`<select
      id=${attributes.id}
      name=${name}
      ?required=${required}
      aria-describedby=${attributes.describedBy}
      aria-invalid=${attributes.isInvalid}
      @change=${onChange}
    >
      ${options.map(
        ([option, words]) =>
          html`<option value=${option} ?selected=${String(option) === String(value ?? "")}>${words}</option>`,
      )}
    </select>`,
  );
}

function described(form, name, hint) {
  form.knows(name);
  const id = `${form.id}-${name}`;
  const error = form.problem?.of(name);
  const parts = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean);
  return { id, describedBy: parts.join(" ") || nothing, isInvalid: error ? "true" : nothing };
}

function field(form, { name, label, hint }, control) {
  const id = `${form.id}-${name}`;
  const error = form.problem?.of(name);
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${control} ${hint ? html`<p class="hint" id=${`${id}-hint`}>${hint}</p>` : nothing}
    ${error ? html`<p class="fault" id=${`${id}-error`}>${error}</p>` : nothing}
  </div>`;
}
