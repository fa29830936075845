// An opened row: where the aircraft is, the flight's risk over the day, and why.

import { ask } from "../api.js";
import { element, svg } from "../dom.js";
import { answerView } from "../question/answer.js";
import { clockTime, currentLanguage, percent, text } from "../texts.js";

const WIDTH = 480;
const HEIGHT = 120;

// Shows all that is known of a flight in the place below its row.
export async function showWhy(one, place, day, model, timeZone) {
  const turn = (place.turn = (place.turn ?? 0) + 1);
  if (!place.childElementCount) place.replaceChildren(element("p", { class: "soft" }, text("wait")));
  const asked = Object.fromEntries(model.fields.filter(({ name }) => name in one.flight).map(({ name }) => [name, one.flight[name]]));
  const wanted = [
    ask(`explain?language=${currentLanguage()}`, { flights: [asked] }).then(({ explanations }) => explanations[0]),
    day.source === "live" ? ask(`flights/trend?${keyOf(one)}`) : null,
  ];
  const [why, trend] = await Promise.allSettled(wanted);
  if (turn !== place.turn) return;
  const problem = why.status === "rejected" ? element("p", { class: "problem" }, why.reason.message) : null;
  place.replaceChildren(...[
    overdue(one),
    inbound(one),
    trend.value ? line(trend.value, model.card.levels, timeZone) : null,
    problem,
    ...(why.value ? answerView(asked, why.value, model) : []),
  ].filter(Boolean));
}

function keyOf({ flight, place }) {
  const names = ["SIGLAORI", "Fecha-I", "OPERA", "Vlo-I", "SIGLADES"];
  const key = names.filter((name) => flight[name]).map((name) => [name, flight[name]]);
  if (!flight["Vlo-I"]) key.push(["place", place]);
  return new URLSearchParams(key);
}

const overdue = ({ status, probability }) =>
  status === "overdue" && probability === 1 ? element("p", { class: "notice" }, text("surelyLate")) : null;

function inbound({ inbound: known, flight }) {
  if (!known) return null;
  const time = (moment) => moment?.slice(11, 16);
  const words = text("inbound")[known.status]?.({ due: time(known.due), expected: time(known.expected), arrived: time(known.arrived) });
  return words ? element("p", {}, element("b", {}, `${text("MATRICULA")} ${flight.MATRICULA ?? ""}`.trim()), ` ${words}`) : null;
}

// The probability over the day, with the bounds of the levels.
function line({ at, probability }, levels, timeZone) {
  const points = at.map((moment, i) => [Date.parse(moment), probability[i]]).filter(([, share]) => share !== null);
  if (points.length < 2) return null;
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const most = Math.min(1, 1.15 * Math.max(levels.high, ...points.map(([, share]) => share)));
  const x = (moment) => (WIDTH * (moment - first)) / Math.max(1, last - first);
  const y = (share) => HEIGHT * (1 - share / most);
  const bounds = Object.entries(levels).map(([level, share]) =>
    svg("line", { class: `bound ${level}`, x1: 0, x2: WIDTH, y1: y(share), y2: y(share) }));
  const told = text("trendTold", percent(points[0][1]), clockTime(first, timeZone), percent(points.at(-1)[1]), clockTime(last, timeZone));
  return element("figure", { class: "trend" },
    element("h3", {}, text("trend")),
    svg("svg", { viewBox: `0 -4 ${WIDTH} ${HEIGHT + 8}`, preserveAspectRatio: "none", role: "img", "aria-label": told }, ...bounds,
      svg("polyline", { points: points.map(([moment, share]) => `${x(moment).toFixed(1)},${y(share).toFixed(1)}`).join(" ") })),
    element("figcaption", { class: "soft" }, told));
}
