// Keeps the focus near where it was: a button that is gone after it was pressed leaves it to what was around it, not to the top
// of the page. Otherwise whoever uses the keyboard would have to come back by many presses of Tab (WCAG 2.4.3).

/** Calls `draw`, which may remove what has the focus. */
export function withFocusNear(draw) {
  const focused = document.activeElement;
  const around = [];
  for (let one = focused; one && one !== document.body; one = one.parentElement) around.push(one);
  draw();
  if (!around.length || focused.isConnected || document.activeElement !== document.body) return;
  const near = around.find((one) => one.isConnected);
  if (!near) return;
  if (!near.hasAttribute("tabindex")) {
    near.tabIndex = -1;
    // It is no button: nothing marks it.
    near.dataset.near = "";
  }
  near.focus({ preventScroll: true });
}
