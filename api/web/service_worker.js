// The page's service worker: shows what a push message says while nobody looks at the page, and opens what it is about.
//
// It is not a module of the page, and imports nothing. It serves no requests, so the page loads as it does without it.
// Browsers look for another version whenever the page is opened; a new version takes over at once, because no page
// depends on what the old one kept.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => event.waitUntil(show(event.data)));

async function show(data) {
  const { title, body, url, tag } = read(data);
  // Whoever looks at the page sees it there.
  const pages = await self.clients.matchAll({ type: "window" });
  if (pages.some((page) => page.visibilityState === "visible")) return;
  // A later message of a conversation takes the place of the earlier one, and rings again.
  await self.registration.showNotification(title, { body, tag, renotify: true, data: { url } });
}

/** Returns what to show. A browser takes the permission away from whoever gets a message and shows nothing. */
function read(data) {
  try {
    const { title, body, url, tag } = data.json();
    return { title: String(title), body: String(body), url: String(url), tag: String(tag) };
  } catch {
    return { title: "Daveslist", body: "There is news for you.", url: "/", tag: "news" };
  }
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url ?? "/"));
});

/** Opens the address, which is one of this page: in a tab that is open, or in a new one. */
async function open(url) {
  const target = new URL(url, self.location.origin);
  if (target.origin !== self.location.origin) return;
  const path = target.pathname + target.search;
  const pages = await self.clients.matchAll({ type: "window" });
  const page = pages.find((one) => one.visibilityState === "visible") ?? pages[0];
  if (!page) {
    await self.clients.openWindow(path);
    return;
  }
  // The page goes there by itself, so that nothing that was typed is lost by loading it again.
  page.postMessage({ open: path });
  await page.focus();
}
