// Taking the board along: on paper, as a link, as a file.

import { byId } from "../dom.js";
import { text } from "../texts.js";
import { answered } from "./file.js";

const EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const TOLD_MS = 8_000;
const ENDING = /(\.(csv|txt|tsv)\.gz|\.[^.]*)?$/i;
const OF_ANSWERS = ["probability", "schedule_probability", "hour_ago", "midnight", "delay", "status", "minutes_late", "called"];

export function setUpTaking(currentDay, currentFile, shownFlights) {
  byId("print").addEventListener("click", () => print());
  byId("copy-link").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      announce(text("linkCopied"));
    } catch {
      // Without https a page may not write there.
      prompt(text("copyLink"), location.href);
    }
  });
  const download = async (asExcel) => {
    try {
      const file = currentFile();
      if (file) return save(await answered(file, asExcel ? EXCEL : `${EXCEL}, */*`), named(file.name, asExcel));
      const rows = shownFlights();
      const name = `flights-${currentDay().clock.slice(0, 16).replace(/[-:]/g, "")}.csv`;
      if (!asExcel) return save(new Blob(["\ufeff", csv(rows, OF_ANSWERS)], { type: "text/csv" }), name);
      save(await answered(new File([csv(rows, [])], name), EXCEL), named(name, true));
    } catch (error) {
      announce(error.message);
    }
  };
  byId("download").addEventListener("click", () => download(false));
  byId("download-excel").addEventListener("click", () => download(true));
}

let telling;

// Says something that passes.
export function announce(words) {
  clearTimeout(telling);
  byId("announce").textContent = words;
  telling = setTimeout(() => (byId("announce").textContent = ""), TOLD_MS);
}

function named(name, asExcel) {
  const [ending] = ENDING.exec(name);
  return `${name.slice(0, name.length - ending.length)}-answers${asExcel ? ".xlsx" : ending}`;
}

function csv(flights, answers) {
  const fields = [...new Set(flights.flatMap(({ flight }) => Object.keys(flight)))];
  const value = (given) => {
    const words = String(given ?? "");
    return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
  };
  const lines = [[...fields, ...answers], ...flights.map((one) => [...fields.map((name) => one.flight[name]), ...answers.map((name) => one[name])])];
  return lines.map((line) => line.map(value).join(",")).join("\r\n") + "\r\n";
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
