// The model that is served, and how far the questions are from what it learned from.

import { byId, element, table } from "./dom.js";
import { currentLanguage, number, percent, text } from "./texts.js";

// So many airports are named in the title.
const NAMED = 3;

export function showTitle(model) {
  const airports = model ? Object.keys(model.values.SIGLAORI) : [];
  const named = new Intl.ListFormat(currentLanguage(), { type: "disjunction" }).format(airports);
  byId("subtitle").textContent = text("subtitle", airports.length > NAMED ? text("airports", airports.length) : named);
}

export function showCard({ fingerprint, card }) {
  const day = (time) => time.slice(0, 10);
  const facts = [
    [text("classifier"), `${card.classifier}, ${card.features}`],
    [text("trained"), day(card.created)],
    [text("trainedOn"), card.data ? `${number(card.rows)} (${card.data})` : number(card.rows)],
    card.period ? [text("period"), `${day(card.period[0])} – ${day(card.period[1])}`] : null,
    card.live?.until ? [text("knownUntil"), day(card.live.until)] : null,
    [text("delayRate"), percent(card.delay_rate, 1)],
    [text("threshold"), percent(card.threshold, 1)],
    ...Object.entries(text("qualitySplits"))
      .filter(([split]) => card.metrics[split]?.roc_auc?.value)
      .map(([split, name]) => {
        const { value, low, high } = card.metrics[split].roc_auc;
        return [`${text("quality")}, ${name}`, `${number(value, 3)} (${number(low, 3)} – ${number(high, 3)})`];
      }),
    [text("fingerprint"), fingerprint.slice(0, 12)],
  ];
  byId("model-card").replaceChildren(
    element("dl", { class: "facts" }, ...facts.filter(Boolean).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
}

export function showDrift(drift) {
  const named = (name) => text(name) ?? name;
  const rows = Object.entries(drift.fields).map(([name, field]) => [
    named(name),
    percent(field.unknown_share, 1),
    field.psi === null ? "–" : number(field.psi, 3),
    text("verdicts")[field.verdict],
  ]);
  const head = [text("driftField"), text("driftUnknown"), text("driftIndex"), text("driftVerdict")];
  byId("drift").replaceChildren(
    table(text("drift"), head, rows, [1, 2]),
    element("p", { class: "soft" }, text("driftAbout", number(drift.flights), number(drift.window_hours))));
}
