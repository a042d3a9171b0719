// Keys that belong to an input method, which composes words of Japanese, Chinese and other scripts from several keys.
//
// Its Enter ends a word, its Escape gives one up, and its arrows choose. Nothing on the page may act on these keys.

/** Keeps such keys from everything on the page, now and in future. */
export function leaveKeysToInputMethods() {
  document.addEventListener(
    "keydown",
    (event) => {
      // Safari says so by the code 229 alone: for it, the composition has ended before its Enter.
      if (!event.isComposing && event.keyCode !== 229) return;
      event.stopPropagation();
      // In a field of one line, Enter would also send the form, and Escape would close the dialog around it.
      const isOfOneLine = event.target instanceof HTMLInputElement;
      if (event.key === "Escape" || (event.key === "Enter" && isOfOneLine)) event.preventDefault();
    },
    { capture: true },
  );
}
