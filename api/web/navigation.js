// Goes to another address of the page. Views call this module, and the router, which knows all views, does the work.

let go = () => {};

export function navigateWith(navigator) {
  go = navigator;
}

/** `replace` adds no entry to the browser's history; the view that opens shows `notice`. */
export function navigate(url, options) {
  go(url, options);
}
