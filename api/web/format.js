// Numbers, times and names as people read them.

import { now } from "./clock.js";
import { readersLanguages } from "./languages.js";
import { limits } from "./limits.js";

/** The site's unit of distance, "mi" or "km". */
export const distanceUnit = limits.distance_unit;
const METRES = { km: 1000, mi: 1609.344 };
const UNIT_NAMES = { km: "kilometer", mi: "mile" };
// As the reader's own language writes them.
const own = readersLanguages();
const amount = { style: "currency", currency: limits.currency, maximumFractionDigits: 0 };
const money = new Intl.NumberFormat(own, amount);
const distance = new Intl.NumberFormat(own, { style: "unit", unit: UNIT_NAMES[distanceUnit], maximumFractionDigits: 0 });
export const whole = new Intl.NumberFormat("en-US");
const decimal = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1, roundingMode: "floor" });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const day = new Intl.DateTimeFormat("en-US", { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat("en-US", { timeStyle: "short" });

const STEPS = [
  ["minute", 60],
  ["hour", 3600],
  ["day", 86_400],
];
const A_WEEK_IN_SECONDS = 7 * 86_400;

export const price = (value) => (value === null || value === undefined ? "Ask for the price" : money.format(value));
/** The sign or code of the currency, as a label. */
export const currency = money.formatToParts(0).find(({ type }) => type === "currency").value;
export const mileage = (value) => distance.format(value);

/** "12 km away", from metres. */
export const away = (metres) => `${distance.format(Math.round(metres / METRES[distanceUnit]))} away`;
export const kilowatts = (value) => `${whole.format(value)} kW (${whole.format(Math.round(value * 1.341))} hp)`;
export const cubicCentimetres = (value) => `${whole.format(value)} cc`;
export const count = (number, one, many) => `${whole.format(number)} ${number === 1 ? one : many}`;
export const megabytes = (bytes) => `${decimal.format(bytes / 2 ** 20)} MB`;
export const dateTime = (time) => moment.format(new Date(time));
export const date = (time) => day.format(new Date(time));

/** "5 minutes ago" within a week, else the date. */
export function since(time) {
  const seconds = (now() - new Date(time)) / 1000;
  if (seconds > A_WEEK_IN_SECONDS) return date(time);
  if (seconds < 60) return "just now";
  const [unit, length] = STEPS.findLast(([, length]) => seconds >= length);
  return ago.format(-Math.floor(seconds / length), unit);
}

/** "in 5 days", of a time to come. */
export function inTime(time) {
  const seconds = Math.max(1, (new Date(time) - now()) / 1000);
  const [unit, length] = STEPS.findLast(([, length]) => seconds > length) ?? STEPS[0];
  return ago.format(Math.ceil(seconds / length), unit);
}

/** The time of a message; without the date if it is from today. */
export function messageTime(time) {
  const isToday = new Date(time).toDateString() === new Date(now()).toDateString();
  return isToday ? clock.format(new Date(time)) : dateTime(time);
}

/** The hour and minute of a message. */
export const timeOfDay = (time) => clock.format(new Date(time));

/** "Today", "Yesterday", or the date. */
export function dayOf(time) {
  const day = new Date(time).toDateString();
  const [today, yesterday] = [new Date(now()), new Date(now())];
  yesterday.setDate(today.getDate() - 1);
  if (day === today.toDateString()) return "Today";
  return day === yesterday.toDateString() ? "Yesterday" : date(time);
}

/** Returns the name to show. Deleted accounts have an empty name. */
export const nameOf = (user) => user?.name || "Somebody who left";
