// Notifications of the browser about new messages, while nobody looks at the page. People are asked once, after they
// have written their first message, and can change their mind in their browser's settings.

import { navigate } from "../navigation.js";

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
  if (globalThis.Notification?.permission !== "granted" || document.visibilityState === "visible") return;
  try {
    const shown = new Notification(user.name, { body: message.message.slice(0, LONGEST), tag: `message ${message.id}` });
    shown.onclick = () => {
      window.focus();
      navigate(`/messages/${user.id}`);
      shown.close();
    };
  } catch {
    // Chrome on Android shows them only for pages with a service worker.
  }
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
