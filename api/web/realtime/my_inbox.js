// The inbox of the logged-in user, on the page's one connection.

import { api } from "../api.js";
import { limits } from "../limits.js";
import { announce } from "../ui/announcer.js";
import { connection } from "./connection.js";
import { Inbox } from "./inbox.js";
import { notify } from "./notifications.js";

export const inbox = new Inbox({ connection, api, announce, notify, pageItems: limits.page_items });
