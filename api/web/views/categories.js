// For moderators: make, rename and delete categories.

import { html } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { forgetCategories } from "../categories.js";
import { change } from "../changes.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { Acts } from "../ui/acts.js";
import { Dialog } from "../ui/dialog.js";
import { Form, formOf, input, select } from "../ui/form.js";
import { FormDraft } from "../ui/form_draft.js";
import { PagedList } from "../ui/list.js";
import { moderationTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const VISIBILITIES = [
  ["public", "Everybody"],
  ["private", "Registered people only"],
];

export class Categories extends View {
  title = "Categories";
  categories = new PagedList(this, "/api/categories", { limit: limits.page_items });
  acts = new Acts(this);
  #draft = new FormDraft("new category");
  form = new Form(this, "category", "CategoryBody", async (values, element) => {
    await api.make("/api/categories", values);
    element.reset();
    this.#draft = this.#draft.forget();
    this.#changed();
    return "The category is there.";
  });
  changing = new Dialog(this, "change-category", {
    title: (category) => `Change “${isolated(category?.name ?? "")}”`,
    action: "Save",
    request: "CategoryChangeBody",
    fields: (form, category) => fieldsOf(form, category),
    submit: async (values, category) => {
      await change(`/api/categories/${category.id}`, category, values, { name: "Name", visibility: "Who sees it" });
      this.#changed();
    },
  });
  deleting = new Dialog(this, "delete-category", {
    title: (category) => `Delete “${isolated(category?.name ?? "")}”?`,
    action: "Delete",
    isDanger: true,
    fields: () => html`<p>Its listings go to the trash, from where they can be restored into another category.</p>`,
    submit: async (_, category) => {
      await api.delete(`/api/categories/${category.id}`);
      this.acts.words = `${isolated(category.name)} is deleted.`;
      this.#changed();
    },
  });

  start() {
    this.categories.load();
  }

  afterDraw() {
    this.#draft.drawn(this, this.form);
  }

  #changed() {
    forgetCategories();
    this.categories.load();
  }

  template() {
    return html`${moderationTabs()}
      <h1>Categories</h1>
      ${this.acts.template()}
      ${this.categories.rows((category) => this.#row(category), "There are no categories yet.")}
      <section class="tool-form">
        <h2>New category</h2>
        ${formOf(this.form, { label: "New category", action: "Add" }, fieldsOf(this.form))}
      </section>
      ${this.changing.template()} ${this.deleting.template()}`;
  }

  #row(category) {
    return html`<li>
      <div class="row-text">
        <p>
          <a href=${`/?category_id=${category.id}`}><bdi>${category.name}</bdi></a>
          ${category.visibility === "private" ? html`<span class="flag">Members only</span>` : ""}
        </p>
      </div>
      <div class="row-buttons">
        <button class="button small" aria-label=${`Change ${isolated(category.name)}`} @click=${() => this.changing.open(category)}>
          Change
        </button>
        <button
          class="button small danger"
          aria-label=${`Delete ${isolated(category.name)}`}
          @click=${() => this.deleting.open(category)}
        >
          Delete
        </button>
      </div>
    </li>`;
  }
}

function fieldsOf(form, category = null) {
  return [
    input(form, { name: "name", label: "Name", value: category?.name, required: true }),
    select(form, { name: "visibility", label: "Who sees it", value: category?.visibility, options: VISIBILITIES }),
  ];
}
