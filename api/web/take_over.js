// The server has rendered the page for visitors. The modules replace it by their own drawing, which looks the same.

const PRESSABLE = "a[href], button, summary";

/** Empties `root`, draws into it, and keeps what somebody has typed, ticked, chosen or opened, and where the focus was. */
export function takeOver(root, draw) {
  const before = [...root.querySelectorAll("input:not([type=hidden]), select")]
    .map((field) => ({ field, hasFocus: field === document.activeElement, isChanged: isChanged(field) }))
    .filter(({ hasFocus, isChanged }) => hasFocus || isChanged);
  const pressable = [...root.querySelectorAll(PRESSABLE)].find((one) => one === document.activeElement);
  const opened = [...root.querySelectorAll("details[open]")].map(wordsOn);
  const top = scrollY;
  root.replaceChildren();
  draw();
  for (const details of root.querySelectorAll("details")) if (opened.includes(wordsOn(details))) details.open = true;
  const changed = before.filter(({ isChanged }) => isChanged);
  for (const { field: old, hasFocus, isChanged } of before) {
    const field = [...root.querySelectorAll("input, select")].find((one) => isSame(one, old));
    if (!field) continue;
    if (isChanged && field.form) keep(field, old);
    // A list that is in no form acts as soon as something is chosen, and would drop what else was typed.
    else if (isChanged && changed.length === 1) choose(field, old.value);
    if (hasFocus) field.focus({ preventScroll: true });
  }
  if (pressable) {
    const words = pressable.textContent.trim();
    const same = [...root.querySelectorAll(PRESSABLE)].filter((one) => one.textContent.trim() === words);
    // What is a link for visitors may be a button for somebody who is logged in.
    (same.find((one) => one.href === pressable.href) ?? same[0])?.focus({ preventScroll: true });
  }
  if (scrollY !== top) scrollTo({ top, behavior: "instant" });
}

const wordsOn = (details) => details.querySelector("summary").textContent.trim();

/** Boxes of one name differ in their values. */
const isSame = (one, old) => one.name === old.name && (old.type !== "checkbox" || one.value === old.value);

function keep(field, old) {
  if (old.type === "checkbox") {
    field.checked = old.checked;
  } else {
    // What the server asks for in a field may be a list here, whose values are not there yet.
    const isMissing = field instanceof HTMLSelectElement && ![...field.options].some((one) => one.value === old.value);
    if (isMissing) field.add(new Option(old.value, old.value));
    field.value = old.value;
  }
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function choose(field, value) {
  field.value = value;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

function isChanged(field) {
  if (field instanceof HTMLSelectElement) {
    // Without a default, a browser chooses the first option.
    const usual = [...field.options].find((one) => one.defaultSelected) ?? field.options[0];
    return field.value !== (usual?.value ?? "");
  }
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}
