// A file of flights: sent with its progress, and the answers as table, chart and file.

import { keyHeaders, refusal } from "./api.js";
import { bars, byId, element, table } from "./dom.js";
import { number, percent, text } from "./texts.js";

const EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const ENDING = /(\.(csv|txt|tsv)\.gz|\.[^.]*)?$/i;
const ROWS_SHOWN = 10;
const AIRLINES_SHOWN = 12;
// Of larger answers only the first part is summed up here.
const CHARACTERS_READ = 30_000_000;

export function setUp() {
  const input = byId("file-input");
  const drop = byId("drop");
  input.addEventListener("change", () => {
    if (input.files.length) send(input.files[0]);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
}

const show = (...nodes) => byId("file-answer").replaceChildren(...nodes);

async function send(file) {
  const label = element("p", {}, text("sending", file.name));
  const progress = element("progress", { max: 1, value: 0, "aria-label": text("sending", file.name) });
  show(label, progress);
  try {
    const answered = await upload(file, (share) => {
      progress.value = share;
      if (share === 1) {
        progress.removeAttribute("value");
        label.textContent = text("answering");
      }
    });
    await showAnswers(answered, file.name);
  } catch (error) {
    show(element("p", { class: "problem", role: "alert" }, error.message));
  }
}

// fetch does not tell how much was sent.
function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "predict/file?invalid=keep");
    request.responseType = "blob";
    // The service looks at what is in it.
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", `${EXCEL}, */*`);
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Error(text("unreachable")));
    request.onload = async () =>
      request.status === 200
        ? resolve({
            answers: request.response,
            kind: request.getResponseHeader("Content-Type").split(";")[0],
            dialect: parsed(request.getResponseHeader("Content-Dialect") ?? ""),
          })
        : reject(refusal(request.status, await request.response.text()));
    request.send(file);
  });
}

// The header as an object.
const parsed = (header) =>
  Object.fromEntries([...header.matchAll(/([a-z-]+)=(?:"([^"]*)"|(\d+))/g)]
    .map(([, name, value, digits]) => [name, value === undefined ? Number(digits) : decodeURIComponent(value)]));

function readAs(dialect) {
  const words = text("readAs");
  const parts = Object.entries(dialect).map(([name, value]) => words[name](value));
  return parts.length ? [element("p", { class: "soft", id: "read-as" }, words.start(parts.join(", ")))] : [];
}

async function showAnswers({ answers, kind, dialect }, name) {
  const [ending] = ENDING.exec(name);
  const download = element("a", {
    class: "download",
    href: URL.createObjectURL(answers),
    download: `${name.slice(0, name.length - ending.length)}-answers${ending}`,
  }, text("download"));
  if (!kind.startsWith("text/") && kind !== "application/gzip")
    return show(...readAs(dialect), element("p", {}, text("noPreview")), download);
  const { rows, whole } = await read(answers, kind, dialect);
  const [head, ...flights] = rows.slice((dialect["header-row"] ?? 1) - 1);
  // A name may be written in other capitals; what was added is the last of its name.
  const column = Object.fromEntries(["OPERA", "probability", "delay", "fault"].map((known) =>
    [known, head.findLastIndex((title) => title.trim().toLowerCase() === known.toLowerCase())]));
  if (dialect.decimal)
    for (const row of flights) row[column.probability] = row[column.probability]?.replace(dialect.decimal, ".");
  const late = flights.filter((row) => row[column.delay] === "1").length;
  const faults = flights.filter((row) => row[column.fault]).length;
  const nodes = [...readAs(dialect), element("p", {}, element("strong", {}, text("rows", number(flights.length), number(late))))];
  if (!whole) nodes.push(element("p", { class: "soft" }, text("partly", number(flights.length))));
  if (faults) nodes.push(element("p", { class: "problem" }, text("faults", number(faults))));
  const likeliest = flights.filter((row) => row[column.probability])
    .sort((a, b) => b[column.probability] - a[column.probability]);
  nodes.push(download,
    preview("lookFirst", head, likeliest, []),
    // The columns of other formats are called otherwise.
    ...(column.OPERA < 0 ? [] : [chart(flights, column)]),
    preview("firstRows", head, flights, faults ? ["fault"] : []));
  show(...nodes);
}

function chart(flights, column) {
  const airlines = new Map();
  for (const row of flights) {
    if (!row[column.delay]) continue;
    const counts = airlines.get(row[column.OPERA]) ?? { flights: 0, late: 0 };
    counts.flights += 1;
    counts.late += row[column.delay] === "1" ? 1 : 0;
    airlines.set(row[column.OPERA], counts);
  }
  const busiest = [...airlines].sort((a, b) => b[1].flights - a[1].flights).slice(0, AIRLINES_SHOWN);
  return element("figure", {},
    element("h3", {}, text("byAirline")),
    bars(busiest.map(([name, { flights, late }]) => ({
      name: `${name} (${number(flights)})`, value: late / flights, className: "late", text: percent(late / flights),
    }))));
}

function preview(title, head, flights, faults) {
  // What was answered comes first: a file may have many columns.
  const answers = [...faults, "probability", "delay"];
  const given = head.filter((name) => !["probability", "delay", "fault"].includes(name));
  const order = [...answers, ...given].map((name) => head.indexOf(name));
  return table(text(title), order.map((i) => head[i]), flights.slice(0, ROWS_SHOWN).map((row) => order.map((i) => row[i] ?? "")));
}

async function read(answers, kind, dialect) {
  let stream = answers.stream();
  if (kind === "application/gzip") stream = stream.pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.pipeThrough(new TextDecoderStream(dialect.encoding ?? "utf-8")).getReader();
  let read = "";
  let whole = false;
  while (read.length < CHARACTERS_READ) {
    const { value, done } = await reader.read();
    if (done) {
      whole = true;
      break;
    }
    read += value;
  }
  reader.cancel();
  const delimiter = dialect.delimiter ?? ",";
  const rows = csv(read, delimiter === "tab" ? "\t" : delimiter);
  // The last one may be cut.
  return { rows: whole ? rows : rows.slice(0, -1), whole };
}

// RFC 4180, with any delimiter.
function csv(text, delimiter) {
  const rows = [];
  let row = [];
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${delimiter}\\r\\n][^${delimiter}\\r\\n]*|))([${delimiter}]|\\r?\\n|\\r|$)`, "gy");
  for (let match; cell.lastIndex < text.length && (match = cell.exec(text)); ) {
    row.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
    if (match[3] !== delimiter) {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}
