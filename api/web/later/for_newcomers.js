// The script of those who are not logged in, and want to be: loaded when one of its views is opened.

export { Confirm } from "../views/confirm.js";
export { Forgotten } from "../views/forgotten.js";
export { Login } from "../views/login.js";
export { Objection } from "../views/objection.js";
export { Register } from "../views/register.js";
export { Reset } from "../views/reset.js";
