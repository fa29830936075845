// One flight: its link, and the answer.

import { ask, Refused } from "./api.js";
import { bars, byId, element, series, svg } from "./dom.js";
import { choose, chosenFlight, clearFaults, fields, followDate, makeForm, showFaults } from "./form.js";
import { currentLanguage, monthName, number, percent, signed, text } from "./texts.js";

let model;
let answered = null;
let asking = 0;

export function setUp(served, onChange) {
  model = served;
  makeForm(served);
  byId("flight-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("flight-form").addEventListener("change", (event) => {
    if (event.target.type === "datetime-local") followDate();
    onChange();
  });
  addEventListener("popstate", () => {
    if (readLink()) show();
    onChange();
  });
  if (readLink()) show();
}

// The same weekday and time in another month of that year, or nothing.
function timeInMonth(time, month) {
  if (!time) return undefined;
  const scheduled = new Date(time.replace(" ", "T"));
  const moved = new Date(scheduled);
  moved.setDate(1);
  moved.setMonth(month - 1);
  moved.setDate(1 + ((scheduled.getDay() - moved.getDay() + 7) % 7));
  const day = [moved.getFullYear(), moved.getMonth() + 1, moved.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${day.join("-")} ${time.slice(11)}`;
}

export function askAbout(airline, month) {
  const time = timeInMonth(chosenFlight()["Fecha-I"], month);
  choose("OPERA", airline);
  choose("MES", String(month));
  if (time) choose("Fecha-I", time);
  byId("flight-form").dispatchEvent(new Event("change"));
  submit();
  byId("question").focus({ preventScroll: true });
  byId("question").scrollIntoView();
}

function submit() {
  const link = new URL(location.href);
  const flight = chosenFlight();
  for (const { name } of fields()) {
    if (flight[name] === undefined) link.searchParams.delete(name);
    else link.searchParams.set(name, flight[name]);
  }
  history.pushState(null, "", link);
  show();
}

function readLink() {
  const link = new URLSearchParams(location.search);
  if (!link.has("OPERA")) return false;
  for (const { name, required } of fields()) {
    const value = link.get(name) ?? "";
    if (value || !required) choose(name, value);
  }
  return true;
}

export async function show() {
  const turn = ++asking;
  const flight = chosenFlight();
  clearFaults();
  try {
    const { explanations } = await ask(`explain?language=${currentLanguage()}`, { flights: [flight] });
    if (turn === asking) showAnswer(flight, explanations[0]);
  } catch (error) {
    if (turn === asking) showProblem(error);
  }
}

// Ask again for the words in the other language.
export function showAgain() {
  if (answered) show();
}

function showProblem(error) {
  answered = null;
  const faults = error instanceof Refused ? error.faults : [];
  const rest = showFaults(faults);
  if (!faults.length) rest.push(error.message);
  const told = rest.length ? element("p", { class: "problem" }, rest.join(" ")) : element("p", { class: "empty" }, text("noAnswer"));
  byId("answer").replaceChildren(told);
}

function showAnswer(flight, why) {
  answered = flight;
  const late = why.delay === 1;
  byId("answer").replaceChildren(
    element("p", { class: `verdict ${late ? "late" : ""}` },
      element("strong", {}, percent(why.probability, 1)), element("span", {}, text(late ? "late" : "onTime"))),
    element("p", {}, why.text),
    element("div", { class: "pictures" }, hundred(why.probability), comparison(flight, why), contributions(why), months(flight, why)),
    ...(why.by_hour ? [hours(flight, why)] : []),
  );
}

function hundred(probability) {
  const late = Math.round(100 * probability);
  const squares = Array.from({ length: 100 }, (_, i) =>
    svg("rect", { class: i < late ? "one late" : "one", x: (i % 20) * 10, y: Math.floor(i / 20) * 10, width: 8, height: 8, rx: 2 }));
  const told = text("hundred", late);
  return element("figure", { class: "hundred" },
    element("h3", {}, told), svg("svg", { viewBox: "0 0 198 48", role: "img", "aria-label": told }, ...squares));
}

function comparison(flight, why) {
  const usual = model.values.OPERA[flight.OPERA]?.delay_rate ?? null;
  const { alike, flights, late, low, high } = why.past;
  const seen = late / flights;
  const most = Math.max(why.probability, why.threshold, why.base_rate, usual ?? 0, seen) * 1.15;
  const mark = why.threshold / most;
  const items = [{ name: text("thisFlight"), share: why.probability, className: why.delay ? "late" : "" }];
  if (usual !== null) items.push({ name: text("usual", flight.OPERA), share: usual, className: "" });
  items.push({ name: text("all"), share: why.base_rate, className: "" });
  if (alike.length) items.splice(1, 0, { name: text("like", number(flights)), share: seen, className: "" });
  const fields = new Intl.ListFormat(currentLanguage()).format(alike.map((name) => text(name).toLowerCase()));
  return element("figure", {},
    element("h3", {}, text("compared")),
    bars(items.map((item) => ({ ...item, value: item.share / most, text: percent(item.share, 1), mark }))),
    element("figcaption", { class: "soft" },
      text("thresholdAt", percent(why.threshold, 1)),
      alike.length ? ` ${text("likeAbout", fields, percent(low), percent(high))}` : ""));
}

function contributions(why) {
  const day = {};
  for (const { group, log_odds } of why.day) day[group] = (day[group] ?? 0) + log_odds;
  const named = Object.entries(why.contributions).map(([name, added]) => [text(name), added]);
  const entries = [...named, ...Object.entries(day)]
    .filter(([, added]) => added !== 0)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const most = 2.1 * Math.max(0.2, ...entries.map(([, added]) => Math.abs(added)));
  return element("figure", {},
    element("h3", {}, text("contributions")),
    bars(entries.map(([name, added]) => ({
      name,
      from: added > 0 ? 0.5 : 0.5 + added / most,
      value: Math.abs(added) / most,
      className: added > 0 ? "up" : "down",
      text: signed(added),
      mark: 0.5,
    }))),
    element("figcaption", { class: "soft" }, text("contributionsAbout")));
}

function months(flight, why) {
  const most = Math.max(...why.by_month);
  return element("figure", {},
    element("h3", {}, text("byMonth")),
    series(why.by_month.map((share, i) => ({
      label: monthName(i + 1, "short").slice(0, 3),
      title: `${monthName(i + 1)}: ${percent(share, 1)}`,
      number: number(100 * share),
      value: share / most,
      late: share > why.threshold,
      now: i + 1 === flight.MES,
    }))),
    why.day.length ? element("figcaption", { class: "soft" }, text("scheduleAlone")) : "");
}

function hours(flight, why) {
  const most = Math.max(...why.by_hour);
  const now = Number(flight["Fecha-I"].slice(11, 13));
  return element("figure", {},
    element("h3", {}, text("byHour")),
    series(why.by_hour.map((share, hour) => ({
      label: String(hour),
      title: `${hour}:00: ${percent(share, 1)}`,
      number: number(100 * share),
      value: share / most,
      late: share > why.threshold,
      now: hour === now,
    })), "hours"),
    why.day.length ? element("figcaption", { class: "soft" }, text("scheduleAlone")) : "");
}
