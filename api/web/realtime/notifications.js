// Notifications of the browser about new messages and alerts, while nobody looks at the page. People are asked once, after they
// have written their first message, and can change their mind in their browser's settings.

import { said } from "../said.js";
import { navigate } from "../navigation.js";
import { showByWorker } from "../push.js";
import { sentenceOf } from "./alerts.js";

const KEY = "daveslist.notifications";
const LONGEST = 200;

/** Whether to ask: the browser can show them, and the person has neither allowed nor refused them. */
export function mayOffer() {
  return globalThis.Notification?.permission === "default" && stored() !== "no";
}

/** Resolves with whether the person allows them. */
export async function allow() {
  return (await Notification.requestPermission()) === "granted";
}

export function refuse() {
  try {
    localStorage.setItem(KEY, "no");
  } catch {
    // Without storage, the page asks again after it is opened the next time.
  }
}

/** Shows the message if the page is in the background. Several tabs show it once: they give it the same tag. */
export function notify({ user, message }) {
  return show({
    title: user.name,
    body: said(message).slice(0, LONGEST),
    url: `/messages/${user.id}`,
    tag: `message ${message.id}`,
  });
}

/** Does the same for an alert of the kinds that are told by push. */
export function notifyOfAlert(alert) {
  if (alert.kind !== "match" && alert.kind !== "reply") return;
  return show({
    title: "Daveslist",
    body: sentenceOf(alert).slice(0, LONGEST),
    url: `/listings/${alert.listing_id}`,
    tag: `alert ${alert.id}`,
  });
}

async function show({ title, body, url, tag }) {
  if (globalThis.Notification?.permission !== "granted" || document.visibilityState === "visible") return;
  try {
    // Chrome on Android shows only those of a service worker, which opens the address when one is pressed.
    if (await showByWorker(title, { body, tag, data: { url } })) return;
    const shown = new Notification(title, { body, tag });
    shown.onclick = () => {
      window.focus();
      navigate(url);
      shown.close();
    };
  } catch {
    // Some browsers show none at all.
  }
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
