// What of a day is shown, and in what order; the address holds it, so that it can be shared.

import { expectedLate, folded } from "./day.js";

const DEFAULTS = { sort: "time", hours: "12", airline: "", type: "", origin: "", destination: "", hour: "", find: "" };
const CHOSEN = ["airline", "type", "origin", "destination"];
// Groups without a title are no longer than this, for the browser to lay out but what is seen.
const BLOCK = 60;

export const view = { ...DEFAULTS };

export function readView() {
  const link = new URLSearchParams(location.search);
  for (const name of Object.keys(DEFAULTS)) view[name] = link.get(name) ?? DEFAULTS[name];
}

export function changeView(changes) {
  Object.assign(view, changes);
  const link = new URL(location.href);
  for (const [name, value] of Object.entries(view)) {
    if (value === DEFAULTS[name]) link.searchParams.delete(name);
    else link.searchParams.set(name, value);
  }
  history.replaceState(null, "", link);
}

export const clearView = () => changeView({ ...DEFAULTS, sort: view.sort, hours: view.hours });

export const isFiltered = () =>
  Object.entries(DEFAULTS).some(([name, value]) => !["sort", "hours"].includes(name) && view[name] !== value);

export function wanted(flights, filters = view) {
  const words = folded(filters.find).split(/\s+/).filter(Boolean);
  return flights.filter((one) =>
    CHOSEN.every((name) => !filters[name] || one[name] === filters[name]) &&
    (!filters.hour || one.time.slice(11, 13) === filters.hour) &&
    words.every((word) => one.words.includes(word)));
}

// As groups: {key, kind, hour, flights, expected}.
export function grouped(flights, isPinned) {
  const risk = (one) => one.probability ?? -1;
  const byRisk = (a, b) => risk(b) - risk(a);
  const byTime = (a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0);
  const groups = [];
  const add = (key, kind, rows, hour = "") => {
    if (rows.length) groups.push({ key, kind, hour, flights: rows, expected: expectedLate(rows) });
  };
  const [pinned, others] = split(flights, (one) => isPinned(one.id));
  const [overdue, rest] = split(others, (one) => one.status === "overdue");
  add("pinned", "pinned", pinned.sort(byTime));
  // Those that should have left long ago have rather been cancelled: the last first.
  add("overdue", "overdue", overdue.sort((a, b) => byTime(b, a)));
  rest.sort(view.sort === "risk" ? byRisk : byTime);
  if (view.sort === "risk") {
    for (let start = 0; start < rest.length; start += BLOCK) add(`risk ${start}`, start ? "more" : "risk", rest.slice(start, start + BLOCK));
  } else {
    for (const [hour, rows] of Map.groupBy(rest, (one) => one.hour)) add(hour || "none", hour ? "hour" : "timeless", rows, hour);
  }
  return groups;
}

function split(flights, is) {
  const [yes, no] = [[], []];
  for (const one of flights) (is(one) ? yes : no).push(one);
  return [yes, no];
}
