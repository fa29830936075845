// Words, numbers and dates in the language of the reader.

import en from "./words/en.js";
import es from "./words/es.js";

const TEXTS = { en, es };

const asked = new URLSearchParams(location.search).get("language");
let language = asked in TEXTS ? asked : navigator.language.startsWith("es") ? "es" : "en";

export const currentLanguage = () => language;

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text(node.dataset.label));
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
}

export function text(name, ...values) {
  const found = TEXTS[language][name];
  return typeof found === "function" ? found(...values) : found;
}

// Each is made once: a board asks thousands of times.
const formats = new Map();

function format(Kind, options) {
  const name = `${language} ${Kind.name} ${JSON.stringify(options)}`;
  if (!formats.has(name)) formats.set(name, new Kind(language, options));
  return formats.get(name);
}

const digitsOf = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (share, digits = 0) =>
  format(Intl.NumberFormat, { style: "percent", ...digitsOf(digits) }).format(share);

export const number = (value, digits = 0) => format(Intl.NumberFormat, digitsOf(digits)).format(value);

export const signed = (value, digits = 0) =>
  format(Intl.NumberFormat, { signDisplay: "exceptZero", ...digitsOf(digits) }).format(value);

// "1 flight", "2 flights".
export const plural = (count, one, many) =>
  `${number(count)} ${format(Intl.PluralRules, {}).select(count) === "one" ? one : many}`;

export const listed = (names, type = "conjunction") => format(Intl.ListFormat, { type }).format(names);

export const monthName = (month, style = "long") =>
  format(Intl.DateTimeFormat, { month: style, timeZone: "UTC" }).format(new Date(Date.UTC(2024, month - 1, 1)));

export const weekdayName = (date) => format(Intl.DateTimeFormat, { weekday: "long" }).format(date);

const DAY = { weekday: "long", day: "numeric", month: "long" };

// Of a local date, "2017-07-14".
export const dateName = (date) => format(Intl.DateTimeFormat, { ...DAY, timeZone: "UTC" }).format(new Date(`${date.slice(0, 10)}T00:00Z`));

// Of a moment, by the clock of a time zone.
export const momentName = (moment, timeZone) =>
  inZone(moment, timeZone, { ...DAY, year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const clockTime = (moment, timeZone) => inZone(moment, timeZone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function inZone(moment, timeZone, options) {
  const shown = format(Intl.DateTimeFormat, { ...options, timeZone }).format(new Date(moment));
  return timeZone === "UTC" ? `${shown} UTC` : shown;
}

// The time zone of the airports; of airports in several, UTC.
export function zoneOf(timeZones) {
  const [zone, other] = new Set(Object.values(timeZones));
  return other || !zone ? "UTC" : zone;
}

export const ago = (seconds) => {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : seconds < 129600 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  return format(Intl.RelativeTimeFormat, { style: "short" }).format(-Math.round(count), unit);
};
