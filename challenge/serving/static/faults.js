// What the service objects to, in the language of the reader.

import { currentLanguage, text } from "./texts.js";
import spanish from "./words/faults_es.js";

// Its sentence, without the name of the field. The service writes English; other
// languages are made of the fault's type and values, where these are known.
export function faultText(fault) {
  if (currentLanguage() !== "es") return fault.msg;
  return spanish[fault.type]?.(fault.input, fault.ctx ?? {}, fault.loc) ?? fault.msg;
}

// With the name of its field in front, as the page calls it.
export function namedFault(fault) {
  const name = fault.loc.findLast((part) => typeof part === "string" && part !== "flights");
  return name ? `${text(name) ?? name}: ${faultText(fault)}` : faultText(fault);
}
