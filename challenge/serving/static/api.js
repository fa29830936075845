// The service, as the page asks it.

import { namedFault } from "./faults.js";
import { text } from "./texts.js";

let key = sessionStorage.getItem("key");

export function useKey(given) {
  key = given;
  sessionStorage.setItem("key", given);
}

export const keyHeaders = () => (key ? { "X-API-Key": key } : {});

// What the service has to object to: `faults` as its answers list them.
export class Refused extends Error {
  constructor(status, faults) {
    super(faults.map(namedFault).join("; ") || text("failed", status));
    this.status = status;
    this.faults = faults;
  }
}

// A busy server says when to ask again; the page does so this often before it tells.
const ATTEMPTS = 4;

export async function ask(path, body) {
  const options = { headers: keyHeaders() };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      response = await fetch(path, options);
    } catch {
      throw new Error(text("unreachable"));
    }
    const seconds = Number(response.headers.get("Retry-After"));
    if (response.status !== 503 || !seconds || attempt === ATTEMPTS) break;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
  const answered = await response.text();
  if (!response.ok) throw refusal(response.status, answered);
  return JSON.parse(answered);
}

export function refusal(status, answered) {
  try {
    return new Refused(status, JSON.parse(answered).detail);
  } catch {
    return new Refused(status, []);
  }
}
