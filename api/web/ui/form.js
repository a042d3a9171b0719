// Forms: they tie labels, hints and errors to their fields, submit once at a time, and show the server's errors.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { whole } from "../format.js";
import { readersLanguages } from "../languages.js";
import { limitsOf } from "../limits.js";
import { readNumber } from "../numbers.js";
import { Problem } from "../problem.js";

/** Characters of a number with its unit. */
const LONGEST_NUMBER = 60;
/** The fields that these problems are about. */
const FIELD_OF = { "email-taken": "email", "wrong-password": "current_password", "category-name-taken": "name", "wrong-code": "code" };

export class Form {
  problem = null;
  isBusy = false;
  /** The text about a success, shown after the form. */
  done = "";
  #fields = new Set();
  /** The inputs for numbers: name -> the unit that is asked for. */
  #numbers = new Map();

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
      this.hush();
      this.view.update();
    };
    // What is drawn beside all views has no others to hush.
    view.addSpeaker?.(this);
  }

  hush() {
    this.done = "";
  }

  knows(field) {
    this.#fields.add(field);
  }

  knowsNumber(field, unit) {
    this.#numbers.set(field, unit);
  }

  /** Returns the values with all numbers in plain digits. Throws a Problem that names the fields that have none. */
  withNumbers(values) {
    const read = { ...values };
    const errors = {};
    for (const [name, unit] of this.#numbers) {
      if (!(name in values)) continue;
      const number = readNumber(values[name], { locale: readersLanguages()[0], unit });
      if (number === null) errors[name] = [noNumber(unit)];
      else read[name] = String(number);
    }
    if (Object.keys(errors).length) throw new Problem({ status: 422, type: "invalid", title: "Wrong values", errors });
    return read;
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
    this.hush();
    this.view.hushOthers?.(this);
    this.view.update();
    try {
      this.done = (await this.submit(this.withNumbers(valuesOf(element)), element)) ?? "";
      this.problem = null;
    } catch (error) {
      this.problem = Problem.of(error);
      const field = FIELD_OF[this.problem.type];
      if (this.#fields.has(field)) this.problem.errors = { [field]: [this.problem.message] };
    }
    this.isBusy = false;
    this.view.update();
    if (this.problem) this.#showProblem(element);
  }

  /** Shows a problem that was found before anything was sent, and moves the focus to it. */
  refuse(problem, element) {
    this.problem = problem;
    this.view.update();
    this.#showProblem(element);
  }

  #showProblem(element) {
    requestAnimationFrame(() => element.querySelector('[aria-invalid="true"], [role="alert"]')?.focus());
  }
}

const noNumber = (unit) => `Write it in digits${unit ? `, in ${unit}` : ""}.`;

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
  // Fields for text have no maxlength: it would silently cut what is pasted. The server reports the limit.
  const more = { ...form.limits[name], maxlength: null, ...overrides };
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
      inputmode=${more.inputmode ?? nothing}
      list=${more.list ?? nothing}
      placeholder=${more.placeholder ?? nothing}
      autocomplete=${more.autocomplete ?? "off"}
      aria-describedby=${attributes.describedBy}
      aria-invalid=${attributes.isInvalid}
      @change=${more.onChange ?? null}
      @input=${more.onInput ?? null}
    />`,
  );
}

/**
 * An input for a whole number, typed as people write numbers, and shown back as the page writes them. It is a text field:
 * over a focused field of numbers, the wheel would change the number instead of scrolling. `unit` may be typed behind
 * the number; years are `isPlain`, without signs between thousands.
 */
export function numberInput(form, { name, unit = "", isPlain = false, value, ...more }) {
  form.knowsNumber(name, unit);
  const shown = (number) => (isPlain ? String(number) : whole.format(number));
  const showBack = (event) => {
    const field = event.currentTarget;
    const number = readNumber(field.value, { locale: readersLanguages()[0], unit });
    if (number !== null) field.value = shown(number);
  };
  // An address may have any text where a number should be.
  const isNumber = /^-?\d{1,15}$/.test(value ?? "");
  return input(form, {
    ...more,
    name,
    value: isNumber ? shown(Number(value)) : value,
    inputmode: "numeric",
    maxlength: LONGEST_NUMBER,
    onChange: showBack,
  });
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
