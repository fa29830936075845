// The heat map: the probability of a delay by airline and month.

import { ask } from "../api.js";
import { levelOf } from "../board/day.js";
import { byId, element } from "../dom.js";
import { monthName, number, percent, plural, text, weekdayName } from "../texts.js";
import { chosenFlight } from "./form.js";
import { askAbout } from "./question.js";

const MONTHS = Array.from({ length: 12 }, (_, i) => i + 1);

// Of fewer past flights a share says little.
const ENOUGH = 30;

let asking = 0;
// Airlines without any such flight are folded away until somebody wants to see them.
let isWhole = false;

export async function draw(model) {
  const turn = ++asking;
  const { OPERA, MES, ...others } = chosenFlight();
  const past = model.values.OPERA;
  const { levels } = model.card;
  try {
    const found = await ask(`heatmap?${new URLSearchParams(others)}`);
    if (turn !== asking) return;
    const rows = found.OPERA.map((airline, i) => ({ airline, shares: found.probability[i], flights: found.flights?.[i] }))
      .sort((a, b) => past[b.airline].flights - past[a.airline].flights);
    byId("map-about").textContent = text("mapAbout", describe(others));
    show(rows, levels, OPERA, MES);
  } catch (error) {
    if (turn === asking) byId("map").replaceChildren(element("p", { class: "problem" }, error.message));
  }
}

function show(rows, levels, chosenAirline, chosenMonth) {
  const flown = rows.filter(({ airline, flights }) => airline === chosenAirline || !flights || flights.some(Boolean));
  const table = heat(isWhole ? rows : flown, levels, chosenAirline, chosenMonth);
  const folded = rows.length - flown.length;
  const more = folded ? element("button", {
    type: "button",
    "aria-expanded": String(isWhole),
    onclick: () => {
      isWhole = !isWhole;
      show(rows, levels, chosenAirline, chosenMonth);
      byId("map").querySelector("[aria-expanded]").focus();
    },
  }, isWhole ? text("mapLess") : plural(folded, text("mapMoreOne"), text("mapMore"))) : null;
  byId("map").replaceChildren(
    ...[element("p", { class: "hint soft" }, text("mapHint")), table, more, legend(levels)].filter(Boolean));
  revealChosen(table);
}

// On a narrow screen the months of the map are wider than it is.
function revealChosen(table) {
  const frame = table.getBoundingClientRect();
  const chosen = table.querySelector("[tabindex='0']").getBoundingClientRect();
  const names = table.querySelector("tbody th").offsetWidth;
  table.scrollLeft = chosen.left + chosen.width / 2 - frame.left - (names + frame.width) / 2;
}

function describe(flight) {
  let what = text("mapType")[flight.TIPOVUELO];
  if (flight.SIGLAORI) what += text("mapFrom", flight.SIGLAORI);
  if (flight.SIGLADES) what += text("mapTo", flight.SIGLADES);
  if (flight["Fecha-I"]) {
    const scheduled = new Date(flight["Fecha-I"].replace(" ", "T"));
    what += `, ${text("weekdayAt", weekdayName(scheduled), scheduled.getHours())}`;
  }
  return what;
}

// The upper half of each level is of a stronger shade.
function shade(share, levels) {
  const level = levelOf(share, levels);
  const [low, high] = { usual: [0, levels.raised], raised: [levels.raised, levels.high], high: [levels.high, Math.min(1, 2 * levels.high)] }[level];
  return share > (low + high) / 2 ? `${level} strong` : level;
}

function heat(rows, levels, chosenAirline, chosenMonth) {
  const head = element("tr", {}, element("td"), ...MONTHS.map((month) =>
    element("th", { scope: "col" }, element("abbr", { title: monthName(month) }, monthName(month, "short").slice(0, 3)))));
  // Tab reaches one cell: the chosen one, or the first.
  const reached = rows.some(({ airline }) => airline === chosenAirline) ? chosenAirline : rows[0].airline;
  const body = rows.map(({ airline, shares, flights }) =>
    element("tr", {}, element("th", { scope: "row" }, airline), ...MONTHS.map((month) => {
      const share = shares[month - 1];
      const few = flights && flights[month - 1] < ENOUGH;
      const told = text("mapCell", airline, monthName(month), percent(share), few ? ` (${text("fewFlights")})` : "");
      return element("td", {}, element("button", {
        type: "button",
        class: `${shade(share, levels)}${few ? " few" : ""}`,
        tabindex: airline === reached && month === chosenMonth ? "0" : "-1",
        "aria-current": airline === chosenAirline && month === chosenMonth ? "true" : null,
        "aria-label": told,
        title: told,
        onclick: () => askAbout(airline, month),
        onkeydown: move,
      }, number(100 * share)));
    })));
  return element("div", { class: "scroll heat-frame" },
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

function legend(levels) {
  const names = text("levels");
  const entry = (label, ...shades) => element("li", {}, ...shades.map((name) => element("i", { class: name })), label);
  return element("ul", { class: "legend heat-legend" },
    ...["usual", "raised", "high"].map((level) =>
      entry(text("levelRange", level, names[level], percent(levels.raised), percent(levels.high)), level, `${level} strong`)),
    entry(text("fewFlights"), "usual few"));
}
