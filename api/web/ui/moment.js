// Times on the page: short to read, with the whole time on hover, and exact for machines.

import { html } from "../vendor/lit-html/lit-html.js";
import { date, dateTime, inTime, messageTime, since } from "../format.js";

/** Returns what shows a time in the words of `words(time)`. */
export const moment = (words) => (time, kind = "") =>
  html`<time class=${kind} datetime=${time} title=${dateTime(time)}>${words(time)}</time>`;

/** "5 minutes ago"; after a week, the day. */
export const ago = moment(since);
/** "in 5 days". */
export const ahead = moment(inTime);
/** The day. */
export const day = moment(date);
/** The day and the time. */
export const exactly = moment(dateTime);
/** The time of a message; with the day, if that is not today. */
export const ofMessage = moment(messageTime);
