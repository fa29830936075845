// Flights as rows below the titles of their groups: made once, then only what changed.

import { element } from "../dom.js";
import { dateName, number, percent, plural, signed, text } from "../texts.js";

// So long at a time, that the page never stands still.
const SLICE_MS = 12;
// Of flights that are overdue so many are shown until one asks for all.
const OVERDUE_SHOWN = 8;
const ROW_REM = 1.95;

const nextFrame = () => new Promise((resolve) => setTimeout(resolve));

// Draws groups of flights into a place. `open(one, node)` is called with a row's place for
// more, once it is opened; `pin(one)` when its star is pressed.
export class Rows {
  constructor(place, { describe, open, pin = null, isPinned = () => false }) {
    this.place = place;
    this.describe = describe;
    this.open = open;
    this.pin = pin;
    this.isPinned = isPinned;
    this.rows = new Map();
    this.groups = new Map();
    this.turn = 0;
    this.showsAll = false;
    place.addEventListener("keydown", (event) => this.move(event));
    place.addEventListener("focusin", (event) => this.reach(event.target.closest(".flight")));
  }

  // All anew, as after a change of the language.
  clear() {
    this.turn += 1;
    this.rows.clear();
    this.groups.clear();
    this.place.replaceChildren();
  }

  async draw(groups) {
    const turn = ++this.turn;
    // After what the caller does.
    let until = 0;
    const mayGoOn = async () => {
      if (performance.now() < until) return true;
      await nextFrame();
      until = performance.now() + SLICE_MS;
      return turn === this.turn;
    };
    if (!(await mayGoOn())) return false;
    const keys = new Set(groups.map((group) => group.key));
    for (const [key, node] of this.groups) {
      if (keys.has(key)) continue;
      node.remove();
      this.groups.delete(key);
    }
    const placing = cursor(this.place);
    let date = "";
    for (const group of groups) {
      const node = this.group(group, date);
      if (group.hour) date = group.hour.slice(0, 10);
      placing.put(node);
      const list = node.lastElementChild;
      const inside = cursor(list);
      const folded = group.kind === "overdue" && !this.showsAll && group.flights.length > OVERDUE_SHOWN;
      for (const one of folded ? group.flights.slice(0, OVERDUE_SHOWN) : group.flights) {
        if (!(await mayGoOn())) return false;
        inside.put(this.row(one));
      }
      if (folded) inside.put(this.rest(group.flights.length - OVERDUE_SHOWN, groups));
      inside.end();
      // Until it is seen the browser takes its size for this.
      list.style.containIntrinsicSize = `auto ${ROW_REM * group.flights.length}rem`;
    }
    placing.end();
    const wanted = new Set(groups.flatMap((group) => group.flights.map((one) => one.id)));
    for (const id of this.rows.keys()) if (!wanted.has(id)) this.rows.delete(id);
    if (!this.place.querySelector(".entry[tabindex='0']")) this.reach(this.place.querySelector(".flight"));
    return true;
  }

  group(group, date) {
    let node = this.groups.get(group.key);
    if (!node) {
      node = element("section", { class: `group ${group.kind}` }, element("h3"), element("ul"));
      this.groups.set(group.key, node);
    }
    const title = node.firstElementChild;
    const told = groupTitle(group, date);
    title.hidden = !told;
    if (title.textContent !== (told?.join("") ?? "")) title.replaceChildren(...(told ?? []).map((words) => element("span", {}, words)));
    return node;
  }

  rest(count, groups) {
    // The same one each time: it may have the focus.
    this.restNode ??= element("li", { class: "rest" }, element("button", { type: "button" }));
    const button = this.restNode.firstElementChild;
    button.textContent = text("showMore", number(count));
    button.onclick = () => {
      this.showsAll = true;
      this.draw(groups);
    };
    return this.restNode;
  }

  row(one) {
    let row = this.rows.get(one.id);
    if (!row) {
      row = { node: this.make(one.id), signature: "" };
      this.rows.set(one.id, row);
    }
    const pinned = this.isPinned(one.id);
    const { minutes, ...told } = one;
    // The time that is left says nothing until it is over.
    const signature = JSON.stringify([told, one.status === "overdue" && minutes, pinned]);
    if (row.signature === signature) return row.node;
    const changed = row.one && row.one.probability !== one.probability;
    row.signature = signature;
    row.one = one;
    const { node } = row;
    node.className = `flight ${one.level ?? "unknown"} ${one.status}`;
    const [button, star] = node.firstElementChild.children;
    button.replaceChildren(...this.describe(one));
    if (changed) button.querySelector(".risk")?.classList.add("moved");
    if (star) {
      star.setAttribute("aria-pressed", String(pinned));
      star.setAttribute("aria-label", text(pinned ? "unpin" : "pin", `${one.airline} ${one.number}`.trim()));
    }
    const more = node.children[1];
    if (more) this.open(one, more);
    return node;
  }

  make(id) {
    const button = element("button", { type: "button", class: "entry", tabindex: "-1", "aria-expanded": "false", onclick: () => this.toggle(id) });
    const star = this.pin && element("button", { type: "button", class: "pin", tabindex: "-1", onclick: () => this.pin(this.rows.get(id).one) }, "★");
    return element("li", { class: "flight", "data-id": id }, element("div", { class: "line" }, button, star));
  }

  toggle(id) {
    const { node, one } = this.rows.get(id);
    const isOpen = node.children.length === 1;
    node.querySelector(".entry").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) {
      const more = element("div", { class: "why" });
      node.append(more);
      this.open(one, more);
    } else {
      node.children[1].remove();
    }
  }

  // Tab reaches one row; from there the arrows lead to the others.
  reach(flight) {
    if (!flight) return;
    for (const node of this.place.querySelectorAll(".line > [tabindex='0']")) node.tabIndex = -1;
    for (const node of flight.firstElementChild.children) node.tabIndex = 0;
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !event.target.closest(".line")) return;
    const all = [...this.place.querySelectorAll(".flight")];
    const at = all.indexOf(event.target.closest(".flight"));
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    event.preventDefault();
    next.querySelector(event.target.classList.contains("pin") ? ".pin" : ".entry").focus();
  }
}

// Puts nodes into a parent one after the other; those that stand there already keep the focus.
function cursor(parent) {
  let next = parent.firstChild;
  return {
    put(node) {
      if (node === next) next = next.nextSibling;
      else parent.insertBefore(node, next);
    },
    end() {
      while (next) {
        const old = next;
        next = next.nextSibling;
        old.remove();
      }
    },
  };
}

function groupTitle({ kind, hour, flights, expected }, date) {
  const late = text("expectedOf", plural(flights.length, text("flight"), text("flights")), number(expected, 1));
  if (kind === "hour") {
    const day = hour.slice(0, 10);
    return [`${hour.slice(11)}:00`, day === date ? "" : ` ${dateName(day)}`, late];
  }
  if (kind === "more") return null;
  return [text("groups")[kind], "", late];
}

// What a row of a flight to come says.
export function toCome(one, severalOrigins) {
  const share = one.probability ?? null;
  const bar = element("i");
  bar.style.width = `${100 * (share ?? 0)}%`;
  const badges = [];
  if (one.status === "overdue") badges.push(badge("overdue", text("overdueBy", duration(-one.minutes))));
  if (one.status === "unknown") badges.push(badge("", text("notKnown")));
  if (one.aircraft_before) badges.push(badge("swap", text("aircraftChanged", one.aircraft_before)));
  return [
    cell("time", one.time.slice(11, 16) || "–"),
    cell("number", one.number),
    cell("airline", one.airline),
    cell("route", route(one, severalOrigins)),
    element("span", { class: "risk" },
      element("span", { class: "track" }, bar),
      element("b", {}, share === null ? "–" : percent(share)),
      one.level ? element("span", { class: "unseen" }, ` ${text("levels")[one.level]}`) : ""),
    change(one),
    element("span", { class: "reason" }, ...badges, strongest(one)),
  ];
}

// And of one that has left.
export function gone(one, severalOrigins) {
  const cells = [
    cell("time", one.time.slice(11, 16) || "–"),
    cell("number", one.number),
    cell("airline", one.airline),
    cell("route", route(one, severalOrigins)),
  ];
  if (one.status === "cancelled") return [...cells, cell("outcome", text("cancelled"))];
  const right = one.calledDelay === null ? null : one.calledDelay === one.late;
  return [
    ...cells,
    cell(`outcome ${one.late ? "late" : ""}`, one.minutes_late > 0 ? text("minutesLate", number(one.minutes_late)) : text("inTime")),
    cell("called", one.called === null ? "" : text(one.isHourBefore ? "calledAt" : "predictedAt", percent(one.called))),
    right === null ? "" : cell(right ? "right" : "wrong", text(right ? "calledRight" : "calledWrong")),
  ];
}

const duration = (minutes) => (minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`);
const cell = (name, words) => element("span", { class: name }, words);
const badge = (name, words) => element("span", { class: `badge ${name}` }, words);
const route = (one, severalOrigins) => (severalOrigins ? `${one.origin} → ${one.destination || "?"}` : one.destination);

function change({ points }) {
  if (!points) return cell("change", "");
  return element("span", { class: `change ${points > 0 ? "up" : "down"}` },
    `${points > 0 ? "▲" : "▼"} ${signed(points)}`, element("span", { class: "unseen" }, ` ${text("pointsInHour")}`));
}

// What raises a high probability, or lowers a low one, most.
function strongest({ reasons, level }) {
  const wanted = (reasons ?? []).filter(({ log_odds }) => (log_odds > 0) === (level !== "usual"));
  return wanted[0]?.name ?? "";
}
