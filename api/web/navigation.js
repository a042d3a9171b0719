// Goes to another address of the page. Views ask here; the router, which knows all views, does it.

let go = () => {};

export function navigateWith(navigator) {
  go = navigator;
}

/** `replace` leaves no trace in the history; `notice` is shown by the view that opens. */
export function navigate(url, options) {
  go(url, options);
}
