// The controls of the board: order, hours ahead, and what is to be seen.

import { byId, element } from "../dom.js";
import { plural, text } from "../texts.js";
import { changeView, clearView, isFiltered, view } from "./view.js";

const HOURS = ["3", "6", "12", "24", "48"];
const TYPING_MS = 80;

// `onChange(name)` is called after each change, with the name of what was changed.
export function setUpFilters(onChange) {
  const form = byId("filter-form");
  let typing;
  form.addEventListener("input", ({ target }) => {
    if (target.name !== "find") return;
    clearTimeout(typing);
    typing = setTimeout(() => change("find", target.value, onChange), TYPING_MS);
  });
  form.addEventListener("change", ({ target }) => target.name !== "find" && change(target.name, target.value, onChange));
  form.addEventListener("submit", (event) => event.preventDefault());
  // On a wide screen there is room for them.
  const wide = matchMedia("(min-width: 700px)");
  const fold = () => (byId("filters").open = wide.matches);
  wide.addEventListener("change", fold);
  fold();
}

function change(name, value, onChange) {
  changeView({ [name]: value });
  onChange(name);
}

// The choices are what the day has; a control that somebody uses stays as it is.
export function showFilters(day, onChange) {
  const form = byId("filter-form");
  const all = [...day.toCome, ...day.left];
  const choices = {
    airline: values(all, "airline"),
    type: values(all, "type").map((name) => [name, text("names").TIPOVUELO[name] ?? name]),
    origin: values(all, "origin"),
    destination: values(all, "destination"),
    hour: [...new Set(all.map((one) => one.time.slice(11, 13)))].filter(Boolean).sort().map((hour) => [hour, `${hour}:00`]),
  };
  const signature = JSON.stringify([choices, day.source, document.documentElement.lang]);
  if (form.dataset.made !== signature && !form.contains(document.activeElement)) {
    form.dataset.made = signature;
    form.replaceChildren(
      element("div", { class: "choice", role: "group", "aria-label": text("order") }, order("time", onChange), order("risk", onChange)),
      field("find", element("input", { type: "search", name: "find", id: "filter-find", placeholder: text("findExample"), autocomplete: "off" })),
      ...Object.entries(choices)
        .filter(([name, names]) => names.length > 1 || view[name])
        .map(([name, names]) => field(name, select(name, ["", text("anything")], names))),
      ...(day.source === "live" ? [field("hours", select("hours", null, HOURS.map((hours) => [hours, text("nextHours", hours)])))] : []),
      element("button", { type: "button", id: "clear-filters", onclick: () => { clearView(); onChange("all"); } }, text("showAll")),
    );
  }
  for (const control of form.elements) if (control.name && control !== document.activeElement) control.value = view[control.name];
  for (const button of form.querySelectorAll("[data-sort]")) button.setAttribute("aria-pressed", String(view.sort === button.dataset.sort));
  byId("clear-filters").hidden = !isFiltered();
  const used = Object.keys(choices).filter((name) => view[name]).length + (view.find ? 1 : 0);
  byId("filters").firstElementChild.textContent = used ? `${text("filters")} (${used})` : text("filters");
}

const values = (flights, name) => [...new Set(flights.map((one) => one[name]))].filter(Boolean).sort((a, b) => a.localeCompare(b));

function order(name, onChange) {
  return element("button", { type: "button", "data-sort": name, onclick: () => change("sort", name, onChange) }, text("sortBy")[name]);
}

function field(name, control) {
  control.id = `filter-${name}`;
  return element("div", { class: "field" }, element("label", { for: control.id }, text("filterNames")[name]), control);
}

function select(name, none, choices) {
  const options = [...(none ? [none] : []), ...choices].map((choice) => (Array.isArray(choice) ? choice : [choice, choice]));
  // A shared link may name what the day does not have.
  if (view[name] && !options.some(([value]) => value === view[name])) options.push([view[name], view[name]]);
  return element("select", { name }, ...options.map(([value, label]) => element("option", { value }, label)));
}

// What is shown, in words, for the title and above the rows.
export function described(count) {
  const parts = [plural(count, text("flight"), text("flights"))];
  if (view.airline) parts.push(view.airline);
  if (view.type) parts.push(text("names").TIPOVUELO[view.type] ?? view.type);
  if (view.origin || view.destination) parts.push([view.origin, view.destination].filter(Boolean).join(" → "));
  if (view.hour) parts.push(`${view.hour}:00`);
  if (view.find) parts.push(`“${view.find}”`);
  return parts.join(" · ");
}
