// Flights that somebody watches: they stay on top, and a change of their level is told.

const KEPT_DAYS = 3;
const NAME = "pinned flights";

// By flight: its level when it was last told, and when it was pinned.
const pins = new Map(read());

function read() {
  try {
    const oldest = Date.now() - KEPT_DAYS * 86_400_000;
    return JSON.parse(localStorage.getItem(NAME) ?? "[]").filter(([, { since }]) => since > oldest);
  } catch {
    return [];
  }
}

function write() {
  try {
    localStorage.setItem(NAME, JSON.stringify([...pins]));
  } catch {
    // Until the page is closed they are kept all the same.
  }
}

export const isPinned = (id) => pins.has(id);

export function togglePin({ id, level }) {
  if (!pins.delete(id)) {
    pins.set(id, { level, since: Date.now() });
    if (globalThis.Notification?.permission === "default") Notification.requestPermission();
  }
  write();
}

// The pinned flights whose level is another than when they were last looked at.
export function changedLevels(flights) {
  const changed = [];
  for (const one of flights) {
    const pin = pins.get(one.id);
    if (!pin || !one.level || pin.level === one.level) continue;
    changed.push({ flight: one, before: pin.level });
    pin.level = one.level;
  }
  if (changed.length) write();
  return changed;
}

export function notify(id, title, words) {
  if (globalThis.Notification?.permission !== "granted") return;
  try {
    new Notification(title, { body: words, tag: id });
  } catch {
    // Phones have no notifications of pages; the page itself tells it.
  }
}
