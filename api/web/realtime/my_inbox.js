// The inbox of the logged-in user, on the page's one connection.

import { api } from "../api.js";
import { limits } from "../limits.js";
import { session } from "../session.js";
import { announce } from "../ui/announcer.js";
import { warnings } from "../ui/warnings.js";
import { connection } from "./connection.js";
import { Inbox } from "./inbox.js";
import { notify } from "./notifications.js";

function sanctioned({ kind }) {
  if (kind !== "warning") return;
  warnings.renew();
  session.check();
}

export const inbox = new Inbox({ connection, api, announce, notify, sanctioned, pageItems: limits.page_items });
