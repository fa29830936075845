// What the service answers about one flight, as the form and the board's rows show it.

import { levelOf } from "../board/day.js";
import { bars, element, svg } from "../dom.js";
import { listed, monthName, number, percent, plural, signed, text, weekdayName } from "../texts.js";

// Of fewer points than this, either way, nothing is told.
const LEAST_POINTS = 0.05;

// `why` is the flight's part of the answer of POST /explain, `model` the answer of GET /model.
export function answerView(flight, why, model) {
  const { levels } = model.card;
  const { level } = why;
  const verdict = element("p", { class: "verdict" },
    element("strong", {}, percent(why.probability, 1)), element("span", { class: `level ${level}` }, text("levels")[level]));
  const sentences = element("p", {}, why.text);
  // The words about a combination that nobody flew come before any number.
  const neverFlown = !why.flown;
  if (neverFlown) sentences.className = "notice";
  return [
    element("div", { class: "pictures" },
      element("div", { class: "said" }, ...(neverFlown ? [sentences, verdict] : [verdict, sentences])), hundred(why.probability, level),
      comparison(flight, why, model, level), contributions(flight, why),
      months(flight, why, levels), why.by_hour ? hours(flight, why, levels) : null),
  ];
}

function figure(title, picture, ...about) {
  const told = about.filter(Boolean);
  return element("figure", {}, element("h3", {}, title), picture,
    told.length ? element("figcaption", { class: "soft" }, told.join(" ")) : null);
}

function hundred(probability, level) {
  const late = Math.round(100 * probability);
  const told = text("hundred", late);
  const squares = Array.from({ length: 100 }, (_, i) =>
    svg("rect", { class: i < late ? `late ${level}` : null, x: (i % 20) * 10, y: Math.floor(i / 20) * 10, width: 8, height: 8, rx: 2 }));
  return figure(told, svg("svg", { class: "hundred", viewBox: "0 0 198 48", role: "img", "aria-label": told }, ...squares));
}

function comparison(flight, why, model, level) {
  const usual = model.values.OPERA[flight.OPERA]?.delay_rate ?? null;
  const { alike, flights, late, low, high } = why.past;
  const shares = [[text("thisFlight"), why.probability, level]];
  if (alike.length) shares.push([text("like", number(flights)), late / flights]);
  if (usual !== null) shares.push([text("usual", flight.OPERA), usual]);
  const most = 1.15 * Math.max(why.base_rate, ...shares.map(([, share]) => share));
  const items = shares.map(([name, share, className = ""]) =>
    ({ name, className, value: share / most, text: percent(share, 1), mark: why.base_rate / most }));
  const fields = listed(alike.map((name) => text("alike")[name] ?? name));
  return figure(text("compared"), bars(items),
    text("lineAt", percent(why.base_rate, 1)),
    alike.length ? text("likeAbout", fields, percent(low), percent(high)) : "",
    exactly(why.flights));
}

const exactly = (flights) =>
  flights ? plural(flights, text("exactlyOne"), text("exactlyMany")) : text("exactlyNone");

// How many percentage points something adds that moves the log-odds by so much.
function points(probability, moved) {
  const without = 1 / (1 + Math.exp(moved - Math.log(probability / (1 - probability))));
  return 100 * (probability - without);
}

function contributions(flight, why) {
  const moved = Object.entries(why.contributions).filter(([, added]) => added).map(([name, added]) => [fieldWithValue(name, flight), added]);
  const day = new Map();
  for (const { group, log_odds } of why.day) day.set(group, (day.get(group) ?? 0) + log_odds);
  const entries = [...moved, ...day]
    .map(([name, added]) => [name, points(why.probability, added)])
    .filter(([, added]) => Math.abs(added) >= LEAST_POINTS)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  // The longest bar takes nearly half of the width, unless all are short.
  const scale = 2.1 * Math.max(2, ...entries.map(([, added]) => Math.abs(added)));
  return figure(text("contributions"), bars(entries.map(([name, added]) => ({
    name,
    from: added > 0 ? 0.5 : 0.5 + added / scale,
    value: Math.abs(added) / scale,
    className: added > 0 ? "up" : "down",
    text: signed(added, 1),
    mark: 0.5,
  }))), text("contributionsAbout"));
}

function fieldWithValue(name, flight) {
  const time = flight["Fecha-I"];
  if (name === "Fecha-I") return `${text("hourOfWeek")}: ${text("weekdayAt", weekdayName(new Date(time.replace(" ", "T"))), Number(time.slice(11, 13)))}`;
  if (name === "MES") return `${text(name)}: ${monthName(monthOf(flight))}`;
  const value = flight[name];
  return value === undefined ? text(name) : `${text(name)}: ${text("names")[name]?.[value] ?? value}`;
}

const monthOf = (flight) => flight.MES ?? Number(flight["Fecha-I"]?.slice(5, 7));

function months(flight, why, levels) {
  const chosen = monthOf(flight);
  const shown = why.by_month.map((share, i) => ({ share, label: monthName(i + 1, "short").slice(0, 3), name: monthName(i + 1), now: i + 1 === chosen }));
  return figure(text("byMonth"), columns(shown, levels), why.day.length ? text("scheduleAlone") : "");
}

function hours(flight, why, levels) {
  const chosen = Number(flight["Fecha-I"].slice(11, 13));
  const shown = why.by_hour.map((share, hour) => ({ share, label: String(hour), name: `${hour}:00`, now: hour === chosen }));
  return figure(text("byHour"), columns(shown, levels, "by-hour"), why.day.length ? text("scheduleAlone") : "");
}

function columns(items, levels, className = "") {
  const most = Math.max(...items.map(({ share }) => share));
  return element("ol", { class: `series ${className}` }, ...items.map(({ share, label, name, now }) => {
    const column = element("i", { class: levelOf(share, levels) });
    // Above each column there is room for its number.
    column.style.height = `calc((100% - 1.4em) * ${share / most})`;
    return element("li", { class: now ? "now" : null, title: `${name}: ${percent(share, 1)}` },
      element("span", { class: "column" }, element("span", { class: "number" }, number(100 * share)), column),
      element("span", { class: "label" }, label));
  }));
}
