// The script of people who are logged in: their views, and what is live for them. realtime/live.js loads it.

export { keepUp, loggedOut } from "../push.js";
export { connection } from "../realtime/connection.js";
export { alerts } from "../realtime/my_alerts.js";
export { inbox } from "../realtime/my_inbox.js";
export { warnings } from "../ui/warnings.js";
export { Account } from "../views/account.js";
export { AlertsView } from "../views/alerts.js";
export { Deleted } from "../views/deleted.js";
export { EditListing } from "../views/edit_listing.js";
export { Favourites } from "../views/favourites.js";
export { Messages } from "../views/messages.js";
export { Sanctions } from "../views/sanctions.js";
export { Searches } from "../views/searches.js";
