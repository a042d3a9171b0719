// Starts the page: the session, the live connection, the router, and the only code that draws.

import { render } from "./vendor/lit-html/lit-html.js";
import { navigateWith } from "./navigation.js";
import { drawWith, update } from "./page.js";
import { keepUp, loggedOut, onPress } from "./push.js";
import { connection } from "./realtime/connection.js";
import { alerts } from "./realtime/my_alerts.js";
import { inbox } from "./realtime/my_inbox.js";
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
  // What the server has rendered stays until there is as much to show.
  if (!isTakenOver && view.isPending) return;
  view.beforeDraw();
  document.title = `${inbox.unread ? `(${inbox.unread}) ` : ""}${view.title} · Daveslist`;
  const draw = () => {
    render(shell(view), root);
    view.afterDraw();
  };
  if (isTakenOver) draw();
  else takeOver(root, draw);
  isTakenOver = true;
  router.drawn();
});

leaveKeysToInputMethods();
survivePageTranslation();

navigateWith((url, options) => router.go(url, options));

session.onChange((change) => {
  if (change.isOtherPerson) {
    inbox.close();
    alerts.close();
    connection.close();
    if (!session.user) loggedOut();
    if (session.user) {
      connection.open();
      inbox.open(session.user.id);
      alerts.open(session.user.id);
    }
    // The page may show another person's data: load everything again for the person who is logged in now.
    router.restart(change.notice);
  } else if (change.token) {
    connection.useToken(change.token);
  }
  update();
});

onPress((path) => router.go(path));

// An upgrade restarts the servers, so the connection is lost and comes back. Visitors have none.
connection.onChange(() => connection.isLive && lookForUpgrade());
window.addEventListener("pageshow", lookForUpgrade);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && lookForUpgrade());
connection.onChange(update);
inbox.onChange(update);
alerts.onChange(update);

// A task of its own: before the first drawing, the browser can answer a press.
setTimeout(() => {
  if (session.user) {
    connection.open();
    inbox.open(session.user.id);
    alerts.open(session.user.id);
    session.check();
    keepUp();
  }
  router.start();
  // "5 minutes ago" does not stay true.
  setInterval(update, TOLD_AGAIN_MS);
});
