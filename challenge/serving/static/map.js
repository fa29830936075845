// The heat map: the probability of a delay by airline and month.

import { ask } from "./api.js";
import { byId, element } from "./dom.js";
import { chosenFlight } from "./form.js";
import { askAbout } from "./question.js";
import { monthName, number, percent, text, weekdayName } from "./texts.js";

const MONTHS = Array.from({ length: 12 }, (_, i) => i + 1);
// Upper limits of the colours, in shares of the delay rate; a last colour is above.
const LIMITS = [0.5, 0.75, 1, 1.25, 1.75, 2.5];

// Of fewer past flights a share says little.
const ENOUGH = 30;

let asking = 0;

export async function draw(model) {
  const turn = ++asking;
  const { OPERA, MES, ...others } = chosenFlight();
  const past = model.values.OPERA;
  const rate = model.card.delay_rate;
  try {
    const found = await ask(`heatmap?${new URLSearchParams(others)}`);
    if (turn !== asking) return;
    const rows = found.OPERA.map((airline, i) => ({ airline, shares: found.probability[i], flights: found.flights?.[i] }))
      .sort((a, b) => past[b.airline].flights - past[a.airline].flights);
    byId("map-about").textContent = text("mapAbout", describe(others));
    byId("map").replaceChildren(heat(rows, rate, OPERA, MES), legend(rate));
  } catch (error) {
    if (turn === asking) byId("map").replaceChildren(element("p", { class: "problem" }, error.message));
  }
}

function describe(flight) {
  let what = text("mapType")[flight.TIPOVUELO];
  if (flight.SIGLAORI) what += text("mapFrom", flight.SIGLAORI);
  if (flight.SIGLADES) what += text("mapTo", flight.SIGLADES);
  if (flight["Fecha-I"]) {
    const scheduled = new Date(flight["Fecha-I"].replace(" ", "T"));
    what += text("mapAt", weekdayName(scheduled), scheduled.getHours());
  }
  return what;
}

const step = (share, rate) => {
  const found = LIMITS.findIndex((limit) => share <= limit * rate);
  return found < 0 ? LIMITS.length : found;
};

function heat(rows, rate, chosenAirline, chosenMonth) {
  const head = element("tr", {}, element("td"), ...MONTHS.map((month) =>
    element("th", { scope: "col" }, element("abbr", { title: monthName(month), "data-narrow": monthName(month, "narrow") }, monthName(month, "short").slice(0, 3)))));
  // Tab reaches one cell: the chosen one, or the first.
  const reached = rows.some(({ airline }) => airline === chosenAirline) ? chosenAirline : rows[0].airline;
  const body = rows.map(({ airline, shares, flights }) =>
    element("tr", {}, element("th", { scope: "row" }, airline), ...MONTHS.map((month) => {
      const share = shares[month - 1];
      const chosen = airline === chosenAirline && month === chosenMonth;
      const few = flights && flights[month - 1] < ENOUGH;
      const told = text("mapCell", airline, monthName(month), percent(share), few ? ` (${text("fewFlights")})` : "");
      return element("td", {}, element("button", {
        type: "button",
        class: `step${step(share, rate)}${few ? " few" : ""}`,
        tabindex: airline === reached && month === chosenMonth ? "0" : "-1",
        "aria-current": chosen ? "true" : null,
        "aria-label": told,
        title: told,
        onclick: () => askAbout(airline, month),
        onkeydown: move,
      }, number(100 * share)));
    })));
  return element("div", { class: "scroll" },
    element("table", { class: "heat" }, element("thead", {}, head), element("tbody", {}, ...body)));
}

// From that cell the arrows lead to the others.
function move(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!steps) return;
  event.preventDefault();
  const cell = event.currentTarget.closest("td");
  const rows = [...cell.closest("tbody").rows];
  const row = rows[rows.indexOf(cell.parentElement) + steps[0]];
  const next = row?.cells[cell.cellIndex + steps[1]]?.querySelector("button");
  if (!next) return;
  event.currentTarget.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function legend(rate) {
  const shares = LIMITS.map((limit) => percent(limit * rate));
  return element("ul", { class: "legend" },
    ...[...shares.map((share) => text("upTo", share)), text("above", shares.at(-1))].map((label, i) =>
      element("li", {}, element("i", { class: `step${i}` }), label)),
    element("li", {}, element("i", { class: "step1 few" }), text("fewFlights")));
}
