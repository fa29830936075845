// One flight: its link, and the answer.

import { ask, Refused } from "../api.js";
import { byId, element } from "../dom.js";
import { currentLanguage, text } from "../texts.js";
import { answerView } from "./answer.js";
import { choose, chosenFlight, clearFaults, fields, followDate, followDestination, makeForm, showFaults } from "./form.js";

let model;
let hasAsked = false;
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
    if (event.target.name === "SIGLADES") followDestination();
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
  hasAsked = true;
  const turn = ++asking;
  const flight = chosenFlight();
  clearFaults();
  try {
    const { explanations } = await ask(`explain?language=${currentLanguage()}`, { flights: [flight] });
    if (turn === asking) byId("answer").replaceChildren(...answerView(flight, explanations[0], model));
  } catch (error) {
    if (turn === asking) showProblem(error);
  }
}

// Ask again for the words in the other language.
export function showAgain() {
  if (hasAsked) show();
}

function showProblem(error) {
  const faults = error instanceof Refused ? error.faults : [];
  const rest = showFaults(faults);
  if (!faults.length) rest.push(error.message);
  const told = rest.length ? element("p", { class: "problem" }, rest.join(" ")) : element("p", { class: "empty" }, text("noAnswer"));
  byId("answer").replaceChildren(told);
}
