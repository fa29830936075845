// The board: the day that the service hears of, or that of a file, and what of it is shown.

import { byId, element } from "../dom.js";
import { momentName, number, percent, plural, text, zoneOf } from "../texts.js";
import { expectedLate, fileDay, liveDay, summary } from "./day.js";
import { connection, follow, refresh } from "./feed.js";
import { answered, askAboutFile, forgetFile, hideFileNote, keepFile, keptFile, setUpFiles, showFileNote, showFileProblem } from "./file.js";
import { described, setUpFilters, showFilters } from "./filters.js";
import { changedLevels, isPinned, notify, togglePin } from "./pins.js";
import { gone, Rows, toCome } from "./rows.js";
import { showGlance, showSums } from "./sums.js";
import { announce, save, setUpTaking } from "./take.js";
import { changeView, grouped, readView, view, wanted } from "./view.js";
import { showWhy } from "./why.js";

const TICK_MS = 5_000;

let model = null;
// What the service heard of, and what a file holds; the file is shown if there is one.
let live = null;
let ofFile = null;
let file = null;
let rows;
let leftRows;
let severalOrigins = false;

const day = () => ofFile ?? live;
const timeZone = () => zoneOf(model.time_zones);
const showFigures = () => day() && showSums(day(), connection, timeZone());

// Once, before anything is known.
export function setUpBoard() {
  readView();
  rows = new Rows(byId("board"), {
    describe: (one) => toCome(one, severalOrigins),
    open: (one, place) => showWhy(one, place, day(), model, timeZone()),
    pin: (one) => {
      togglePin(one);
      show();
    },
    isPinned,
  });
  leftRows = new Rows(byId("left").lastElementChild, {
    describe: (one) => gone(one, severalOrigins),
    open: (one, place) => showWhy(one, place, day(), model, timeZone()),
  });
  setUpFilters(changed);
  setUpFiles(openFile);
  setUpTaking(day, () => (ofFile ? file : null), () => wanted([...day().toCome, ...day().left]));
  byId("left").addEventListener("toggle", showLeft);
}

// With the model, and again with another or another key.
export async function startBoard(served) {
  const isFirst = model === null;
  model = served;
  if (isFirst) {
    follow(takeLive, showFigures);
    setInterval(showFigures, TICK_MS);
    const kept = file ?? (await keptFile());
    if (kept) openFile(kept);
  }
  await refresh(true);
  show();
}

export async function translateBoard() {
  rows.clear();
  leftRows.clear();
  if (file && ofFile) await openFile(file);
  else await refresh(true);
  show();
}

function takeLive(answer) {
  live = liveDay(answer, model);
  for (const { flight, before } of changedLevels(live.toCome)) {
    const words = text("levelChanged", text("levels")[before], text("levels")[flight.level], percent(flight.probability));
    const title = [flight.number, flight.airline, flight.destination, flight.time.slice(11, 16)].filter(Boolean).join(" ");
    notify(flight.id, title, words);
    announce(`${title}: ${words}`);
  }
  if (!ofFile) show();
}

async function openFile(chosen) {
  file = chosen;
  if (!model) return;
  try {
    const answer = await askAboutFile(chosen);
    if (file !== chosen) return;
    ofFile = fileDay(answer, model);
    keepFile(chosen);
    showFileNote(ofFile, chosen, closeFile, downloadRejected);
    show();
  } catch (error) {
    if (file !== chosen) return;
    file = null;
    showFileProblem(error);
  }
}

function closeFile() {
  file = ofFile = null;
  forgetFile();
  hideFileNote();
  show();
}

async function downloadRejected() {
  try {
    save(await answered(file, "*/*", "only"), text("rejectedName", file.name));
  } catch (error) {
    announce(error.message);
  }
}

function changed(name) {
  if (name === "hours") refresh(true);
  else show();
}

// At night a feed may know of no flight that is near.
const isEmpty = () => !day() || !(day().toCome.length || day().left.length || day().known);

function show() {
  const empty = isEmpty();
  byId("drop").hidden = !empty || !model;
  byId("take").hidden = empty;
  byId("filters").hidden = empty;
  byId("sums").hidden = empty;
  byId("left").hidden = empty || !day().left.length;
  if (empty) {
    byId("board").replaceChildren();
    byId("glance").hidden = true;
    byId("shown").textContent = "";
    byId("how-to-fill").replaceChildren(...text("howToFill", location.origin).map((line) => element("li", {}, ...line)));
    rows.clear();
    return;
  }
  severalOrigins = new Set([...day().toCome, ...day().left].map((one) => one.origin)).size > 1;
  const flights = wanted(day().toCome);
  showFigures();
  showFilters(day(), changed);
  showGlance(wanted(day().toCome, { ...view, hour: "" }), view.hour, (hour) => {
    changeView({ hour });
    changed("hour");
  });
  showTitles(flights);
  rows.draw(grouped(flights, isPinned));
  showLeft();
}

function showTitles(flights) {
  const late = text("expectedLateCount", number(expectedLate(flights), 1));
  const what = described(flights.length);
  byId("shown").textContent = `${what} · ${late}`;
  document.title = `${what} – ${ofFile ? file.name : text("today")} – flight-prophet`;
  const when = day().clock ? momentName(day().clock, timeZone()) : file?.name ?? "";
  byId("foot").textContent = text("foot", when, model.card.data, model.card.created.slice(0, 10), model.fingerprint.slice(0, 12));
}

function showLeft() {
  const left = wanted(day()?.left ?? []);
  const sums = summary({ toCome: [], left });
  const called = left.filter((one) => one.status === "left" && one.calledDelay !== null);
  const right = called.filter((one) => one.calledDelay === one.late).length;
  byId("left").firstElementChild.textContent = [
    text("leftTitle", plural(sums.gone, text("flight"), text("flights")), number(sums.late)),
    called.length ? text(ofFile ? "predictedShare" : "calledShare", percent(right / called.length)) : "",
  ].filter(Boolean).join(" · ");
  if (byId("left").open) leftRows.draw([{ key: "left", kind: "more", hour: "", flights: [...left].reverse(), expected: 0 }]);
}
