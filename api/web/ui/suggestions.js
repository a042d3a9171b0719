// The list of suggestions below a field, as WAI-ARIA's authoring practices describe it: an editable combobox with a list.
// The focus stays in the field.

import { html, nothing } from "../vendor/lit-html/lit-html.js";

export const LIST_ID = "suggestions";
const KINDS = { make: "Make", model: "Model", place: "Place" };

/** The id of the suggestion that Enter takes, for aria-activedescendant. */
export const activeId = ({ active }) => (active === -1 ? nothing : `${LIST_ID}-${active}`);

export function suggestionList(suggestions) {
  const option = ({ kind, text }, index) => html`<li
    id=${`${LIST_ID}-${index}`}
    role="option"
    aria-selected=${String(index === suggestions.active)}
    @click=${() => suggestions.takeAt(index)}
  >
    <bdi>${text}</bdi> <span class="quiet small-text">${KINDS[kind] ?? ""}</span>
  </li>`;
  // A press on a suggestion must not take the focus from the field, because that closes the list.
  return html`<ul
    id=${LIST_ID}
    class="suggestions"
    role="listbox"
    aria-label="Suggestions"
    ?hidden=${!suggestions.isOpen}
    @mousedown=${(event) => event.preventDefault()}
  >
    ${suggestions.items.map(option)}
  </ul>`;
}
