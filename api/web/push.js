// Push messages to this browser: the service worker that shows them, and the subscription of this session.
//
// A browser's subscription belongs to the person who is logged in here. It ends on the server with the session; the
// browser's part of it ends here.

import { api } from "./api.js";

const WORKER = "/service_worker.js";
const KEY = "daveslist.push";
/** A change waits for the one before, but not for ever: a worker that never starts must not keep anybody from ending this. */
const PATIENCE_MS = 5_000;

let latest = Promise.resolve();

/** Makes one change after the other: a renewal that is under way would undo what a press does. */
function inTurn(change) {
  const before = latest;
  const turn = Promise.race([before, new Promise((go) => setTimeout(go, PATIENCE_MS))]).then(change);
  latest = turn.catch(() => {});
  return turn;
}

/** Whether this browser can be told at all. On iOS it can when the page is on the home screen. */
export const isPossible = () => Boolean(navigator.serviceWorker && globalThis.PushManager && globalThis.Notification);

/** Registers the service worker, or looks for a new version of it. Resolves with the registration, ready to be used. */
async function worker() {
  await navigator.serviceWorker.register(trusted(WORKER), { updateViaCache: "none" });
  return navigator.serviceWorker.ready;
}

/** With Trusted Types, a script's address has to come from a policy. This one knows a single address. */
const policy = globalThis.trustedTypes?.createPolicy("service-worker", {
  createScriptURL: (url) => {
    if (url !== WORKER) throw new TypeError(`not the service worker: ${url}`);
    return url;
  },
});
const trusted = (url) => policy?.createScriptURL(url) ?? url;

/** Shows a notification by the service worker, which works on phones too. Resolves with whether there is a worker. */
export async function showByWorker(title, options) {
  const registration = await navigator.serviceWorker?.getRegistration();
  if (!registration?.active) return false;
  await registration.showNotification(title, options);
  return true;
}

/** Resolves with {public_key, is_on, shows_text} of this session. */
export const read = () => api.get("/api/me/push");

/**
 * Subscribes this browser. To be called by a press: it asks for the permission. Resolves with what `read` does, or with
 * null if the person does not allow it.
 */
export async function turnOn(publicKey, showsText) {
  if ((await Notification.requestPermission()) !== "granted") return null;
  return inTurn(() => subscribe(publicKey, showsText));
}

async function subscribe(publicKey, showsText) {
  const { pushManager } = await worker();
  const key = bytesOf(publicKey);
  let subscription = await pushManager.getSubscription();
  // A subscription with another key of the service gets nothing any more.
  if (subscription && !isSame(subscription.options.applicationServerKey, key)) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const answer = await api.post("/api/me/push", { ...subscription.toJSON(), shows_text: showsText });
  remember({ endpoint: subscription.endpoint, shows_text: showsText });
  return answer;
}

/** Ends the subscription of this session and of this browser. */
export function turnOff() {
  forget();
  return inTurn(async () => {
    forget();
    await api.delete("/api/me/push");
    await unsubscribe();
  });
}

/** The session has ended, and on the server its subscription with it. */
export async function loggedOut() {
  if (remembered() === null) return;
  forget();
  await unsubscribe();
}

async function unsubscribe() {
  const registration = await navigator.serviceWorker?.getRegistration();
  const subscription = await registration?.pushManager?.getSubscription();
  await subscription?.unsubscribe();
}

/**
 * To be called when the page is opened by somebody who is logged in: renews what the browser or the service has
 * replaced since, and starts a new version of the worker. Does nothing where nobody has turned push messages on.
 */
export const keepUp = () => inTurn(renew);

async function renew() {
  const before = remembered();
  if (!isPossible() || before === null || Notification.permission !== "granted") return;
  try {
    const { pushManager } = await worker();
    const subscription = await pushManager.getSubscription();
    const { public_key: publicKey, is_on: isOn } = await read();
    if (publicKey === null) return;
    const isCurrent = subscription?.endpoint === before.endpoint && isSame(subscription.options.applicationServerKey, bytesOf(publicKey));
    if (!isOn || !isCurrent) await subscribe(publicKey, before.shows_text);
  } catch {
    // The push service or the API is away: the next time that the page is opened decides.
  }
}

function bytesOf(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (one) => one.charCodeAt(0));
}

function isSame(buffer, bytes) {
  const own = new Uint8Array(buffer ?? new ArrayBuffer(0));
  return own.length === bytes.length && own.every((one, index) => one === bytes[index]);
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function remember(subscription) {
  try {
    localStorage.setItem(KEY, JSON.stringify(subscription));
  } catch {
    // Without storage the subscription is not renewed, and works until it ends.
  }
}

function forget() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There is nothing to forget.
  }
}
