// The server has rendered the page for visitors. The modules replace it by their own drawing, which looks the same.

const PRESSABLE = "a[href], button, summary";

/** Empties `root`, draws into it, and keeps what somebody has typed and where the focus was. */
export function takeOver(root, draw) {
  const before = [...root.querySelectorAll("input:not([type=hidden]), select")]
    .map((field) => ({ field, hasFocus: field === document.activeElement, isChanged: isChanged(field) }))
    .filter(({ hasFocus, isChanged }) => hasFocus || isChanged);
  const pressable = [...root.querySelectorAll(PRESSABLE)].find((one) => one === document.activeElement);
  root.replaceChildren();
  draw();
  for (const { field: old, hasFocus, isChanged } of before) {
    const field = [...root.querySelectorAll("input, select")].find((one) => one.name === old.name);
    if (!field) continue;
    if (isChanged) {
      field.value = old.value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (hasFocus) field.focus({ preventScroll: true });
  }
  if (pressable) {
    const same = (one) => one.textContent.trim() === pressable.textContent.trim() && one.href === pressable.href;
    [...root.querySelectorAll(PRESSABLE)].find(same)?.focus({ preventScroll: true });
  }
}

function isChanged(field) {
  if (field instanceof HTMLSelectElement) return [...field.options].some((one) => one.selected !== one.defaultSelected);
  return field.value !== field.defaultValue;
}
