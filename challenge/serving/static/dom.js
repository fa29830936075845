// Elements, made without any HTML in texts, and the drawings that several parts share.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Horizontal bars: {name, value, text, className, mark}, values and marks 0 to 1.
export function bars(items) {
  return element("ul", { class: "bars" }, ...items.map((item) => {
    const bar = element("i", { class: item.className });
    bar.style.left = `${100 * (item.from ?? 0)}%`;
    bar.style.width = `${100 * item.value}%`;
    const track = element("span", { class: "track", "aria-hidden": "true" }, bar);
    if (item.mark !== undefined) {
      const mark = element("b");
      mark.style.left = `${100 * item.mark}%`;
      track.append(mark);
    }
    return element("li", {},
      element("span", { class: "name" }, item.name), track, element("span", { class: "value" }, item.text));
  }));
}

export function table(caption, head, rows, numeric = []) {
  const kind = (column) => (numeric.includes(column) ? { class: "number" } : {});
  const titles = head.map((name, i) => element("th", { scope: "col", ...kind(i) }, name));
  const lines = rows.map((row) => element("tr", {}, ...row.map((cell, i) => element("td", kind(i), cell))));
  return element("div", {},
    element("h3", {}, caption),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      element("table", {}, element("thead", {}, element("tr", {}, ...titles)), element("tbody", {}, ...lines))));
}
