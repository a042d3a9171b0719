// Makes or changes a listing: first its text, then its pictures, because a picture needs a listing.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { categories } from "../categories.js";
import { FACTS, wordsFor } from "../facts.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { announce } from "../ui/announcer.js";
import { Form, formOf, input, numberInput, select, textarea } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { PictureField } from "../ui/picture_field.js";
import { View } from "../view.js";

const NUMBERS = ["category_id", ...FACTS.filter((fact) => fact.isNumber).map((fact) => fact.name)];
/** The names of the inputs that choose between two values begin with this. */
const KEEP = "keep-";
const LABELS = {
  title: "Title",
  category_id: "Category",
  content: "Description",
  visibility: "Who sees it",
  ...Object.fromEntries(FACTS.map(({ name, label }) => [name, label])),
};

/** Returns a field of a listing as the form sends it; null if it is empty. */
function valueOf(listing, name) {
  return (name === "category_id" ? listing.category?.id : listing[name]) ?? null;
}

function isSame(one, other) {
  const plain = (value) => (typeof value === "string" ? value.replaceAll("\r\n", "\n") : (value ?? null));
  return plain(one) === plain(other);
}

/** Returns a field's value in words. */
function shown(name, value) {
  if (value === null || value === undefined) return "nothing";
  if (name === "category_id") return categories().find(({ id }) => id === value)?.name ?? value;
  return FACTS.some((fact) => fact.name === name && fact.isChoice) ? wordsFor(name, value) : value;
}

export class EditListing extends View {
  title = this.params.id ? "Edit your listing" : "Sell a car";
  listing = null;
  /** Names the version of the listing that the form shows. */
  tag = null;
  /** What the person and somebody else have changed: {names, mine}; null if there is nothing to choose. */
  conflict = null;
  /** What the VIN in the form says: {maker, years, check_digit_is_right}; null if nothing is known of it. */
  vin = null;
  form = new Form(this, "listing", "ListingBody", (values) => this.#save(values));

  pictures = new PictureField(this, this.#draftName);
  #draft = new FormDraft(this.#draftName);
  #onUnload = (event) => {
    // What is typed is kept; an upload that is under way would stop until the form is opened again.
    if (this.pictures.isBusy) event.preventDefault();
  };

  get #draftName() {
    return this.params.id ? `listing ${this.params.id}` : "new listing";
  }

  start() {
    window.addEventListener("beforeunload", this.#onUnload);
    this.load(async () => {
      if (this.params.id) await this.#read();
      await this.pictures.start(this.listing);
    });
  }

  stop() {
    super.stop();
    if (!this.pictures.isBusy) this.pictures.stop();
    window.removeEventListener("beforeunload", this.#onUnload);
  }

  afterDraw() {
    this.#draft.drawn(this, this.form);
  }

  async #read() {
    const { value, tag } = await api.version(`/api/listings/${this.params.id}`, { signal: this.signal });
    this.listing = value;
    this.tag = tag;
    this.pictures.take(value);
  }

  async #save(values) {
    const body = Object.fromEntries(
      Object.entries(values)
        .filter(([name]) => !name.startsWith(KEEP))
        .map(([name, value]) => [name, NUMBERS.includes(name) ? Number(value) : value]),
    );
    if (body.vin) body.vin = body.vin.replaceAll(/\s/g, "");
    if (!this.listing) {
      const made = await api.make("/api/listings", body);
      this.#draft.forget();
      await this.pictures.rename(`listing ${made.id}`);
      if (!this.pictures.hasFiles) return navigate(`/listings/${made.id}`, { notice: "Your listing is online." });
      this.listing = made;
      this.params.id = made.id;
      this.title = "Edit your listing";
      history.replaceState({}, "", `/listings/${made.id}/edit`);
      const areStored = await this.pictures.uploadTo(made);
      if (this.isLeft) return "";
      if (areStored) return navigate(`/listings/${made.id}`, { notice: "Your listing is online." });
      return "Your listing is online, but not all of its pictures.";
    }
    // Fields that were emptied are removed.
    const emptied = Object.fromEntries(FACTS.filter(({ name }) => !(name in body)).map(({ name }) => [name, null]));
    const wanted = { ...emptied, ...body };
    for (const name of this.conflict?.names ?? []) {
      if (values[KEEP + name] === "theirs") wanted[name] = valueOf(this.listing, name);
    }
    return this.#change(wanted);
  }

  /** Sends what differs. If another version is stored by now, tries again unless both changed the same field. */
  async #change(wanted) {
    const changed = Object.entries(wanted).filter(([name, value]) => !isSame(value, valueOf(this.listing, name)));
    try {
      if (changed.length) await api.patch(`/api/listings/${this.listing.id}`, Object.fromEntries(changed), this.tag);
    } catch (error) {
      if (error.type !== "changed-meanwhile") throw error;
      const before = this.listing;
      await this.#read();
      const names = changed
        .filter(([name, value]) => ![valueOf(before, name), value].some((known) => isSame(known, valueOf(this.listing, name))))
        .map(([name]) => name);
      if (!names.length) return this.#change(Object.fromEntries(changed));
      this.conflict = { names, mine: Object.fromEntries(changed) };
      return "";
    }
    this.#draft.forget();
    return navigate(`/listings/${this.listing.id}`, { notice: "Saved." });
  }

  template() {
    if (this.problem) {
      return html`<section class="narrow">
        <h1>This did not work</h1>
        <p class="fault" role="alert">${this.problem.message}</p>
      </section>`;
    }
    const isNew = !this.params.id;
    if (!isNew && !this.listing) return html`<p class="quiet" role="status">Loading…</p>`;
    const listing = this.listing ?? {};
    if (!isNew && listing.seller && listing.seller.id !== session.user.id && !session.is("admin")) {
      return html`<section class="narrow"><h1>This is another's listing</h1></section>`;
    }
    const text = (name, label, more) => input(this.form, { name, label, value: listing[name], ...more });
    const fact = ({ name, label, unit, isNumber, isChoice }) => {
      if (name === "vin") return this.#vin(listing);
      if (isChoice) {
        const options = this.form.limits[name].options.map((value) => [value, wordsFor(name, value)]);
        return select(this.form, { name, label, value: listing[name], options: [["", "Not said"], ...options] });
      }
      const words = unit ? `${label} (${unit})` : label;
      if (!isNumber) return text(name, words);
      return numberInput(this.form, { name, label: words, value: listing[name], unit: name === "price" ? "" : unit, isPlain: name === "year" });
    };
    const fields = html`
      ${this.#conflict()}
      ${text("title", "Title", { required: true, hint: "Year, make and model are a good start." })}
      ${select(this.form, {
        name: "category_id",
        label: "Category",
        value: listing.category?.id,
        required: true,
        options: [["", "Choose…"], ...categories().map((one) => [one.id, one.name])],
      })}
      ${FACTS.map((one, index) =>
        index % 2 ? nothing : html`<div class="pair">${FACTS.slice(index, index + 2).map((each) => fact(each))}</div>`,
      )}
      ${textarea(this.form, {
        name: "content",
        label: "Description",
        value: listing.content,
        rows: 8,
        required: true,
      })}
      ${select(this.form, {
        name: "visibility",
        label: "Who sees it",
        value: listing.visibility ?? "public",
        options: [
          ["public", "Everybody"],
          ["private", "Registered people only"],
        ],
      })}
      ${this.pictures.template()}
    `;
    return html`<section class="narrow">
      <h1>${this.title}</h1>
      ${formOf(this.form, { label: this.title, action: isNew ? "Put it online" : "Save" }, fields)}
      ${this.pictures.dialog.template()}
    </section>`;
  }

  #conflict() {
    if (!this.conflict) return nothing;
    return html`<div class="fault" role="alert" tabindex="-1">
      <p>This was changed elsewhere while you were editing. Choose what to keep, then save again.</p>
      ${this.conflict.names.map(
        (name) =>
          html`<fieldset>
            <legend>${LABELS[name]}</legend>
            ${[
              ["mine", "Yours", this.conflict.mine[name]],
              ["theirs", "The other", valueOf(this.listing, name)],
            ].map(
              ([whose, words, value]) =>
                html`<p>
                  <label
                    ><input type="radio" name=${KEEP + name} value=${whose} ?checked=${whose === "mine"} /> ${words}:
                    <bdi>${shown(name, value)}</bdi></label
                  >
                </p>`,
            )}
          </fieldset>`,
      )}
    </div>`;
  }

  #vin(listing) {
    const told = this.vin;
    return html`<div @change=${(event) => this.#readVin(event.target.value)}>
      ${input(this.form, {
        name: "vin",
        label: "VIN",
        value: listing.vin,
        // Blanks in a pasted number are taken out before it is sent.
        minlength: null,
        hint: "Only people who are logged in see it.",
      })}
      <div role="status" class="vin-told">
        ${told
          ? html`<p class="hint">
                ${told.check_digit_is_right
                  ? "The check digit is right."
                  : "The check digit is not right: if the car was made for North America, look for a typing mistake."}
              </p>
              ${told.maker || told.years.length
                ? html`<p class="hint">
                    This VIN says: ${[told.maker, told.years.join(" or ")].filter(Boolean).join(", ")}.
                    <button type="button" class="button small" @click=${(event) => this.#takeVin(event)}>Use this</button>
                  </p>`
                : nothing}`
          : nothing}
      </div>
    </div>`;
  }

  /** Asks what the number says. A number of the wrong form is reported when the form is sent. */
  async #readVin(typed) {
    const vin = typed.replaceAll(/\s/g, "");
    this.vin = null;
    this.update();
    if (!vin) return;
    try {
      const told = await api.get("/api/vin", { query: { vin }, signal: this.signal });
      this.vin = told;
    } catch {
      return;
    }
    this.update();
  }

  #takeVin(event) {
    const { make, year } = event.currentTarget.form.elements;
    if (this.vin.maker) make.value = this.vin.maker;
    if (this.vin.years.length) year.value = this.vin.years[0];
    announce("Make and year are filled in.");
  }
}
