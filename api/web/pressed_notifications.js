// The service worker tells of a notification that was pressed while this page is open.

/** Calls `go(path)` when this page is to show what the notification is about. */
export function onPress(go) {
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (typeof data?.open === "string" && data.open.startsWith("/")) go(data.open);
  });
}
