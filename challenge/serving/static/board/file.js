// A file of flights: asked of the service, and kept in this browser alone.

import { keyHeaders, refusal } from "../api.js";
import { byId, element } from "../dom.js";
import { faultText } from "../faults.js";
import { currentLanguage, number, plural, text } from "../texts.js";

// Larger ones are not kept for the next visit.
const KEPT_BYTES = 50_000_000;

export function setUpFiles(onFile) {
  const input = byId("file-input");
  input.addEventListener("change", () => {
    if (input.files.length) onFile(input.files[0]);
    input.value = "";
  });
  const over = (event, is) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("over", is);
  };
  addEventListener("dragenter", (event) => over(event, true));
  addEventListener("dragover", (event) => over(event, true));
  addEventListener("dragleave", (event) => event.relatedTarget || over(event, false));
  addEventListener("drop", (event) => {
    over(event, false);
    if (event.dataTransfer?.files.length) onFile(event.dataTransfer.files[0]);
  });
}

// The flights of a file with their predictions, as POST /predict/file tells them.
export async function askAboutFile(file) {
  const label = element("p", {}, text("sending", file.name));
  const progress = element("progress", { max: 1, value: 0, "aria-label": text("sending", file.name) });
  byId("file-note").replaceChildren(label, progress);
  const { response } = await send(file, "application/json", (share) => {
    progress.value = share;
    if (share < 1) return;
    progress.removeAttribute("value");
    label.textContent = text("answering");
  });
  return JSON.parse(await response.text());
}

// The file itself with its predictions, as the service writes it.
export async function answered(file, accept, rows = "keep") {
  return (await send(file, accept, () => {}, rows)).response;
}

// fetch does not tell how much was sent.
function send(file, accept, onProgress, rows = "keep") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `predict/file?invalid=${rows}&language=${currentLanguage()}`);
    request.responseType = "blob";
    // The service looks at what is in it.
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", accept);
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Error(text("unreachable")));
    request.onload = async () =>
      request.status === 200 ? resolve({ response: request.response }) : reject(refusal(request.status, await request.response.text()));
    request.send(file);
  });
}

// How a file was read, and what is wrong with its rows.
export function showFileNote(day, file, onClose, onRejected) {
  const words = text("readAs");
  const readAs = Object.entries(day.read_as).map(([name, value]) => words[name](value));
  byId("file-note").replaceChildren(
    element("p", { class: "row" },
      element("b", {}, file.name),
      element("span", { class: "soft" }, [plural(day.rows, text("row"), text("rows")), ...(readAs.length ? [words.start(readAs.join(", "))] : [])].join(" · ")),
      element("button", { type: "button", id: "close-file", onclick: onClose }, text("closeFile"))),
    day.more ? element("p", { class: "soft" }, text("partly", number(day.toCome.length + day.left.length))) : "",
    day.invalid ? faults(day, onRejected) : "");
}

function faults(day, onRejected) {
  const rows = day.faults.map((fault) =>
    element("tr", {},
      element("td", { class: "number" }, number(fault.row)),
      element("td", {}, text(fault.loc.at(-1)) ?? fault.loc.at(-1) ?? ""),
      element("td", {}, faultText(fault))));
  const heads = text("faultHeads").map((name, i) => element("th", { scope: "col", class: i ? null : "number" }, name));
  return element("details", { class: "problem", open: "" },
    element("summary", {}, text("invalidRows", plural(day.invalid, text("row"), text("rows")))),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": text("faultList") },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows))),
    day.invalid > new Set(day.faults.map(({ row }) => row)).size ? element("p", {}, text("firstFaults")) : "",
    element("button", { type: "button", onclick: onRejected }, text("downloadRejected")));
}

export function showFileProblem(error) {
  const told = error.faults?.length ? error.faults.map(faultText).join(" ") : error.message;
  byId("file-note").replaceChildren(element("p", { class: "problem", role: "alert" }, told));
}

export const hideFileNote = () => byId("file-note").replaceChildren();

// The browser's own store for files; a page that may not use it goes on without.
async function store(mode, work) {
  try {
    const opening = indexedDB.open("flight-prophet", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("files");
    const database = await done(opening);
    return await done(work(database.transaction("files", mode).objectStore("files")));
  } catch {
    return undefined;
  }
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export const keepFile = (file) => file.size <= KEPT_BYTES && store("readwrite", (files) => files.put(file, "file"));
export const keptFile = () => store("readonly", (files) => files.get("file"));
export const forgetFile = () => store("readwrite", (files) => files.delete("file"));
