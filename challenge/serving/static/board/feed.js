// Keeps the day current: by the service's events, and by asking now and then where these do
// not come through.

import { keyHeaders } from "../api.js";
import { currentLanguage } from "../texts.js";
import { view } from "./view.js";

const LIMIT = 5000;
const POLL_SECONDS = 5;
// Two heartbeats of the service.
const SILENCE_SECONDS = 25;
const MOST_WAIT_SECONDS = 30;

export const connection = { lost: false, events: false };

let told = () => {};
let tag = null;
let asking = null;
let again = false;

// `onDay(answer)` is called with each new answer of GET /flights, `onConnection()` when the
// service went away or came back.
export function follow(onDay, onConnection) {
  told = { onDay, onConnection };
  listen();
  poll();
  for (const kind of ["online", "offline"]) addEventListener(kind, refresh);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}

// Asks now; after a change of what is asked, whatever was known.
export async function refresh(anew = false) {
  if (anew === true) tag = null;
  again = true;
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

const query = () => `${new URLSearchParams({ hours: view.hours, limit: LIMIT, language: currentLanguage() })}`;

async function ask() {
  while (again) {
    again = false;
    const asked = query();
    let response, answered;
    try {
      const headers = { ...keyHeaders(), ...(tag ? { "If-None-Match": tag } : {}) };
      response = await fetch(`flights?${asked}`, { cache: "no-store", headers });
      answered = await response.text();
    } catch {
      lose(true);
      continue;
    }
    // Whatever the service refuses, it may take again.
    lose(!response.ok && response.status !== 304);
    // What is asked for may have changed meanwhile.
    if (!response.ok || asked !== query()) continue;
    tag = response.headers.get("ETag");
    told.onDay(JSON.parse(answered));
  }
}

function lose(isLost) {
  if (connection.lost === isLost) return;
  connection.lost = isLost;
  told.onConnection();
}

async function poll() {
  for (;;) {
    await seconds(POLL_SECONDS);
    // A page that nobody sees need not know.
    if (!document.hidden && (connection.lost || !connection.events)) await refresh();
  }
}

async function listen() {
  for (let wait = 1; ; wait = Math.min(2 * wait, MOST_WAIT_SECONDS)) {
    try {
      await readEvents(() => (wait = 1));
    } catch {
      // Asking goes on without.
    }
    connection.events = false;
    await seconds(wait);
  }
}

async function readEvents(onBegin) {
  const stop = new AbortController();
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), 1000 * SILENCE_SECONDS);
  };
  heard();
  try {
    const response = await fetch("flights/events", { cache: "no-store", headers: keyHeaders(), signal: stop.signal });
    if (!response.ok) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      if (!connection.events) {
        connection.events = true;
        onBegin();
        refresh();
      }
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      if (parts.some((part) => /^event: ?flights$/m.test(part))) refresh();
    }
  } finally {
    clearTimeout(silence);
  }
}

const seconds = (count) => new Promise((resolve) => setTimeout(resolve, 1000 * count));
