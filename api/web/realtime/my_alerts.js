// The alerts of the logged-in user, on the page's one connection.

import { api } from "../api.js";
import { announce } from "../ui/announcer.js";
import { Alerts } from "./alerts.js";
import { connection } from "./connection.js";
import { notifyOfAlert } from "./notifications.js";

export const alerts = new Alerts({ connection, api, announce, notify: notifyOfAlert });
