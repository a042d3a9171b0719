// Starts the page: the session, the live connection, the router, and the only code that draws.

import { render } from "./vendor/lit-html/lit-html.js";
import { prepareScript } from "./later_scripts.js";
import { withFocusNear } from "./near_focus.js";
import { navigateWith } from "./navigation.js";
import { drawWith, update } from "./page.js";
import { onPress } from "./pressed_notifications.js";
import { live } from "./realtime/live.js";
import { router } from "./router.js";
import { session } from "./session.js";
import { shell } from "./shell.js";
import { takeOver } from "./take_over.js";
import { leaveKeysToInputMethods } from "./ui/composing.js";
import { survivePageTranslation } from "./ui/translated.js";
import { lookForUpgrade } from "./upgrade.js";
import "./seen_height.js";
import "./ui/guarded_picture.js";

const TOLD_AGAIN_MS = 60_000;
const root = document.getElementById("app");
let isTakenOver = root.firstElementChild === null;

drawWith(() => {
  const view = router.view;
  // The script of the first view may be under way.
  if (!view) return;
  // What the server has rendered stays until there is as much to show.
  if (!isTakenOver && view.isPending) return;
  view.beforeDraw();
  document.title = `${live.unread ? `(${live.unread}) ` : ""}${view.title} · Daveslist`;
  const draw = () => {
    render(shell(view, router.isWaiting), root);
    view.afterDraw();
  };
  if (isTakenOver) withFocusNear(draw);
  else takeOver(root, draw);
  isTakenOver = true;
  router.drawn();
});

leaveKeysToInputMethods();
survivePageTranslation();

navigateWith((url, options) => router.go(url, options));

session.onChange((change) => {
  if (change.isOtherPerson) {
    live.close();
    if (session.user) live.start();
    else live.ended();
    // The page may show another person's data: load everything again for the person who is logged in now.
    router.restart(change.why);
  } else if (change.token) {
    live.useToken(change.token);
  }
  update();
});

onPress((path) => router.go(path));

window.addEventListener("pageshow", lookForUpgrade);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && lookForUpgrade());
// It comes while the first view is made.
if (session.user) prepareScript("users");

// A task of its own: before the first drawing, the browser can answer a press.
setTimeout(() => {
  if (session.user) {
    live.start();
    session.check();
  }
  router.start();
  // "5 minutes ago" does not stay true.
  setInterval(update, TOLD_AGAIN_MS);
});
