// The script of moderators and admins: loaded when one of its views is opened.

export { Audit } from "../views/audit.js";
export { Categories } from "../views/categories.js";
export { Hidden } from "../views/hidden.js";
export { Objections } from "../views/objections.js";
export { People } from "../views/people.js";
export { Person } from "../views/person.js";
export { Reports } from "../views/reports.js";
export { System } from "../views/system.js";
export { Trash } from "../views/trash.js";
