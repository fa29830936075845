// The form of a flight, made of the fields that the service describes.

import { byId, element } from "../dom.js";
import { faultText } from "../faults.js";
import { monthName, text } from "../texts.js";

// So few names are shown side by side.
const SIDE_BY_SIDE = 3;

let model;

const controls = () => byId("flight-form").elements;
const names = (field) => Object.keys(model.values[field.name]).sort((a, b) => a.localeCompare(b));
const fieldOf = (kind) => model.fields.find((field) => field.kind === kind).name;

// A text is for logs, and of one name there is nothing to choose.
export const fields = () => model.fields.filter((field) =>
  !["text", "moment"].includes(field.kind) && (field.required || field.kind !== "category" || names(field).length > 1));

// In the current language; what was chosen stays chosen.
export function makeForm(served) {
  const chosen = model ? chosenFlight() : {};
  model = served;
  byId("fields").replaceChildren(...fields().map(makeField));
  for (const [name, value] of Object.entries(chosen)) choose(name, value);
}

function makeField(field) {
  const fault = element("p", { class: "fault", id: `${field.name}-fault` });
  if (field.kind === "category" && field.required && names(field).length <= SIDE_BY_SIDE)
    return element("fieldset", { class: "field" },
      element("legend", {}, text(field.name)), element("div", { class: "row" }, ...names(field).map((name, i) => radio(field, name, i))), fault);
  const label = element("label", { for: field.name }, text(field.name));
  if (!field.required) label.append(" ", element("small", {}, text("optional")));
  return element("div", { class: "field" }, label, control(field), fault);
}

function radio(field, name, place) {
  const input = element("input", { type: "radio", name: field.name, value: name, checked: place === 0 ? "" : null });
  return element("label", {}, input, ` ${text("names")[field.name]?.[name] ?? name}`);
}

function control(field) {
  const attributes = { id: field.name, name: field.name, "aria-describedby": `${field.name}-fault`, required: field.required ? "" : null };
  if (field.kind === "time") return element("input", { ...attributes, type: "datetime-local" });
  const list = element("select", attributes, ...options(field).map(([value, label]) => element("option", { value }, label)));
  list.value = initial(field);
  return list;
}

function options(field) {
  if (field.kind === "month") return Array.from({ length: 12 }, (_, i) => [String(i + 1), monthName(i + 1)]);
  const known = names(field).map((name) => [name, name]);
  return field.required ? known : [["", text("unknown")], ...known];
}

function initial(field) {
  if (field.kind === "month") return String(new Date().getMonth() + 1);
  if (!field.required) return "";
  const past = model.values[field.name];
  return names(field).reduce((a, b) => (past[b].flights > past[a].flights ? b : a));
}

// What a link or a cell of the map asks for may be unknown: then the service says so.
export function choose(name, value) {
  const control = controls()[name];
  if (control.type === "datetime-local") value = value.replace(" ", "T").slice(0, 16);
  if (control instanceof HTMLSelectElement && ![...control.options].some((option) => option.value === String(value)))
    control.append(element("option", { value }, value));
  control.value = value;
}

export function followDate() {
  const month = Number(controls()[fieldOf("time")].value.slice(5, 7));
  if (month) choose(fieldOf("month"), String(month));
}

// A destination is mostly flown to by one type of flight; another can still be chosen.
export function followDestination() {
  const types = model.values.SIGLADES[controls().SIGLADES.value]?.types;
  if (!types || !controls().TIPOVUELO) return;
  const [type, flights] = Object.entries(types).reduce((most, one) => (one[1] > most[1] ? one : most));
  if (flights) choose("TIPOVUELO", type);
}

// The fields as requests name them, without those that are left empty.
export function chosenFlight() {
  const flight = {};
  for (const { name, kind } of fields()) {
    const value = controls()[name].value;
    if (!value) continue;
    if (kind === "month") flight[name] = Number(value);
    else flight[name] = kind === "time" ? `${value.replace("T", " ").slice(0, 16)}:00` : value;
  }
  return flight;
}

export function clearFaults() {
  for (const { name } of fields()) {
    byId(`${name}-fault`).textContent = "";
    byId(name)?.removeAttribute("aria-invalid");
  }
}

// Show each fault beside its field; returns the sentences of those that have none.
export function showFaults(faults) {
  const rest = [];
  for (const fault of faults) {
    const name = fault.loc.at(-1);
    const place = fields().some((field) => field.name === name) ? byId(`${name}-fault`) : null;
    if (!place) {
      rest.push(faultText(fault));
      continue;
    }
    place.textContent = faultText(fault);
    byId(name)?.setAttribute("aria-invalid", "true");
  }
  document.querySelector("[aria-invalid]")?.focus();
  return rest;
}
