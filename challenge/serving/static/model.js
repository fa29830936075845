// The model that is served: what it learned from, how good it is, and, for engineers, the rest.

import { byId, element, svg, table } from "./dom.js";
import { currentLanguage, inZone, listed, number, percent, plural, text, zoneOf } from "./texts.js";

// So many airports are named in the title.
const NAMED = 3;

const UNITS = [["day", 1440], ["hour", 60], ["minute", 1]];

export function showTitle(model) {
  const airports = model ? Object.keys(model.values.SIGLAORI) : [];
  const named = listed(airports, "disjunction");
  byId("subtitle").textContent = text("subtitle", airports.length > NAMED ? text("airports", airports.length) : named);
}

export function showCard(model) {
  const { card } = model;
  byId("model-card").replaceChildren(
    element("div", { class: "model-columns" },
      element("div", {},
        definitions(facts(card)),
        element("p", { id: "drifted", class: "notice", hidden: "" })),
      quality(card)),
    element("details", { class: "engineers" },
      element("summary", {}, text("engineers")),
      element("div", { class: "model-columns" },
        definitions(details(model)), element("div", { id: "drift" }), qualityTable(card.live?.quality ?? {}))));
}

const definitions = (entries) =>
  element("dl", { class: "facts" }, ...entries.flatMap(([name, ...value]) => [element("dt", {}, name), element("dd", {}, ...value)]));

function facts(card) {
  const { period, levels, live } = card;
  const flights = plural(card.rows, text("flight"), text("flights"));
  const learned = period ? text("learnedPeriod", flights, dateOf(period[0]), dateOf(period[1])) : flights;
  const names = text("levels");
  const ranges = Object.entries(names).map(([level, name]) =>
    element("li", {}, element("i", { class: level }), text("levelRange", level, name, percent(levels.raised, 1), percent(levels.high, 1))));
  return [
    [text("learnedFrom"), learned, ...(card.sample ? [element("p", { class: "notice" }, text("sampleData"))] : [])],
    [text("lateOnAverage"), text("lateMeans", percent(card.delay_rate, 1))],
    [text("levelNames"), element("ul", { class: "legend" }, ...ranges)],
    ...(live?.until ? [[text("outcomesUntil"), momentOf(live.until, card.time_zones)]] : []),
    [text("trainedOn"), dateOf(card.created)],
  ];
}

// Of a time as it is written: a local one stays local.
const dateOf = (time) =>
  new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${time.slice(0, 10)}T00:00Z`));

const momentOf = (moment, zones = {}) => inZone(moment, zoneOf(zones), { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

// How good it is by the distance, or, of a model that does not know this, without the day.
function quality(card) {
  const measured = Object.entries(card.live?.quality ?? {}).map(([minutes, found]) => [Number(minutes), found]).sort((a, b) => b[0] - a[0]);
  if (measured.length) return distances(measured);
  const alone = card.metrics?.forward?.roc_auc?.value;
  return alone ? element("p", {}, text("pairsAlone", number(100 * alone))) : null;
}

// Lines that stretch with the page, and numbers that do not.
function distances(measured) {
  const both = [
    ["day", measured.map(([, found]) => 100 * found.roc_auc)],
    ["schedule", measured.map(([, found]) => 100 * found.schedule_roc_auc)],
  ];
  const low = 50;
  const high = Math.max(60, ...both.flatMap(([, shares]) => shares)) + 4;
  const x = (i) => (100 * (i + 0.5)) / measured.length;
  const y = (share) => (100 * (high - share)) / (high - low);
  const lines = both.map(([name, shares]) =>
    svg("polyline", { class: name, points: shares.map((share, i) => `${x(i).toFixed(2)},${y(share).toFixed(2)}`).join(" ") }));
  const labels = both[0][1].map((share, i) => {
    const label = element("b", {}, number(share));
    label.style.left = `${x(i)}%`;
    label.style.top = `${y(share)}%`;
    return label;
  });
  const told = measured.map(([minutes, found]) =>
    element("li", {}, text("distancePoint", duration(minutes, "long"), number(100 * found.roc_auc), number(100 * found.schedule_roc_auc))));
  return element("figure", { class: "distances" },
    element("h3", {}, text("distanceTitle")),
    element("div", { "aria-hidden": "true" },
      element("div", { class: "plot" }, svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" }, ...lines), ...labels, element("small", {}, number(low))),
      element("div", { class: "ticks" }, ...measured.map(([minutes]) => element("span", {}, duration(minutes, "short"))))),
    element("ul", { class: "unseen" }, ...told),
    element("ul", { class: "legend" },
      element("li", {}, element("i", { class: "line day" }), text("withDay")), element("li", {}, element("i", { class: "line schedule" }), text("bySchedule"))),
    element("figcaption", { class: "soft" }, text("distanceAbout")));
}

function duration(minutes, unitDisplay) {
  const [unit, size] = UNITS.find(([, size]) => minutes % size === 0);
  return new Intl.NumberFormat(currentLanguage(), { style: "unit", unit, unitDisplay }).format(minutes / size);
}

function details({ fingerprint, card }) {
  const measured = Object.entries(text("qualitySplits")).filter(([split]) => card.metrics?.[split]?.roc_auc?.value);
  return [
    [text("classifier"), `${card.classifier}, ${card.features}`],
    [text("threshold"), percent(card.threshold, 1)],
    ...measured.map(([split, name]) => {
      const { value, low, high } = card.metrics[split].roc_auc;
      return [`${text("quality")}, ${name}`, `${number(value, 3)} (${number(low, 3)} – ${number(high, 3)})`];
    }),
    [text("fingerprint"), fingerprint.slice(0, 12)],
  ];
}

function qualityTable(quality) {
  const rows = Object.entries(quality).map(([minutes, found]) => [
    duration(Number(minutes), "short"),
    ...[found.roc_auc, found.schedule_roc_auc, found.average_precision, found.schedule_average_precision].map((value) => number(value, 3)),
    number(found.flights),
  ]);
  return rows.length ? table(text("qualityTable"), text("qualityHead"), rows, [1, 2, 3, 4, 5]) : null;
}

// How far what is asked is from what it learned from; nothing where nothing was asked.
export function showDrift(drift) {
  const named = (name) => text(name) ?? name;
  const fields = Object.entries(drift.fields);
  const drifted = fields.filter(([, field]) => field.verdict === "major").map(([name]) => named(name));
  byId("drifted").hidden = !drifted.length;
  byId("drifted").textContent = text("drifted", listed(drifted));
  if (!drift.flights) return byId("drift").replaceChildren();
  const rows = fields.map(([name, field]) => [
    named(name),
    percent(field.unknown_share, 1),
    field.psi === null ? "–" : number(field.psi, 3),
    text("verdicts")[field.verdict],
  ]);
  const head = [text("driftField"), text("driftUnknown"), text("driftIndex"), text("driftVerdict")];
  const about = [text("driftAbout", plural(drift.flights, text("flight"), text("flights")), number(drift.window_hours))];
  if (drift.counted) about.push(text("driftCounted", listed(drift.counted)), text("driftNotCounted", listed(drift.not_counted)));
  byId("drift").replaceChildren(table(text("drift"), head, rows, [1, 2]), element("p", { class: "soft" }, about.join(" ")));
}
