// The sums of a day: a line of figures, its hours, its airlines.

import { bars, byId, element } from "../dom.js";
import { ago, clockTime, number, percent, plural, text } from "../texts.js";
import { expectedLate, summary } from "./day.js";
import { view } from "./view.js";

const AIRLINES_SHOWN = 12;

export function showSums(day, connection, timeZone) {
  const sums = summary(day);
  const facts = [
    fact("toCome", number(sums.toCome), day.source === "live" ? text("untilHour", view.hours) : ""),
    fact("expectedLate", number(sums.expected, sums.expected < 10 ? 1 : 0), sums.toCome ? percent(sums.expected / sums.toCome) : ""),
    fact("leftSoFar", number(sums.gone), [
      sums.gone ? text("lateOf", number(sums.late), percent(sums.late / sums.gone)) : "",
      sums.cancelled ? text("cancelledCount", number(sums.cancelled)) : "",
    ].filter(Boolean).join(" · ")),
  ];
  if (sums.usual !== null) facts.push(fact("comparedWithUsual", percent(sums.share), text("usually", percent(sums.usual)), sums.share > 1.25 * sums.usual ? "worse" : ""));
  if (day.source === "live") facts.push(heard(day, connection, timeZone));
  byId("sums").replaceChildren(...facts);
  byId("sums").hidden = false;
}

function fact(name, value, more = "", className = "") {
  return element("div", { class: className }, element("dt", {}, text(name)), element("dd", {}, element("b", {}, value), element("small", {}, more)));
}

function heard(day, connection, timeZone) {
  const seconds = Math.max(0, (Date.now() - Date.parse(day.heard)) / 1000);
  const isOld = day.stale_since || connection.lost;
  const more = connection.lost ? text("connectionLost") : text("knownUntil", clockTime(day.clock, timeZone));
  const node = fact("lastMessage", day.heard ? ago(seconds) : "–", more, isOld ? "old" : "");
  node.id = "heard";
  return node;
}

// The hours as columns, as high as they have flights; a press shows one of them alone.
export function showGlance(flights, chosen, choose) {
  const hours = new Map();
  for (const one of flights) {
    if (!one.time) continue;
    const hour = hours.get(one.hour) ?? [];
    hour.push(one);
    hours.set(one.hour, hour);
  }
  const inOrder = [...hours].sort(([a], [b]) => a.localeCompare(b));
  const most = Math.max(1, ...inOrder.map(([, rows]) => rows.length));
  const columns = inOrder.map(([hour, rows]) => {
    const name = hour.slice(11, 13);
    const late = expectedLate(rows);
    const column = element("span", { class: "column", "aria-hidden": "true" }, element("i", { class: "all" }), element("i", { class: "late" }));
    column.firstChild.style.height = `${(100 * rows.length) / most}%`;
    column.lastChild.style.height = `${(100 * late) / most}%`;
    const told = text("hourTold", name, plural(rows.length, text("flight"), text("flights")), number(late, 1));
    return element("li", {}, element("button", {
      type: "button", "data-hour": hour, "aria-pressed": String(chosen === name), "aria-label": told, title: told,
      onclick: () => choose(chosen === name ? "" : name),
    }, column, element("span", { class: "label" }, name)));
  });
  const airlines = new Map();
  for (const one of flights) airlines.set(one.airline, airlines.get(one.airline) ?? []).get(one.airline).push(one);
  const busiest = [...airlines].map(([name, rows]) => ({ name, rows, late: expectedLate(rows) }))
    .sort((a, b) => b.late - a.late).slice(0, AIRLINES_SHOWN);
  const longest = Math.max(0.1, ...busiest.map(({ late }) => late));
  const reached = document.activeElement?.dataset.hour;
  byId("glance").replaceChildren(
    element("section", { class: "card" }, element("h3", {}, text("byHourTitle")), element("ol", { class: "hours" }, ...columns),
      element("p", { class: "soft" }, text("byHourAbout"))),
    element("section", { class: "card" }, element("h3", {}, text("byAirlineTitle")),
      bars(busiest.map(({ name, rows, late }) => ({
        name: `${name} (${number(rows.length)})`, value: late / longest, className: "late", text: number(late, 1),
      })))));
  byId("glance").hidden = !flights.length;
  // Who presses them by keyboard stays at them.
  if (reached) byId("glance").querySelector(`[data-hour="${reached}"]`)?.focus();
}
