// The page: puts its parts together.

import { ask, Refused, useKey } from "./api.js";
import { byId } from "./dom.js";
import * as file from "./file.js";
import { makeForm } from "./form.js";
import * as map from "./map.js";
import { showCard, showDrift, showTitle } from "./model.js";
import * as question from "./question.js";
import { currentLanguage, setLanguage } from "./texts.js";

let model = null;

async function start() {
  byId("page-problem").hidden = true;
  try {
    model = await ask("model");
    byId("key-form").hidden = true;
    showTitle(model);
    showCard(model);
    question.setUp(model, () => map.draw(model));
    map.draw(model);
    showDrift(await ask("drift"));
  } catch (error) {
    const keyless = error instanceof Refused && error.status === 401;
    byId("key-form").hidden = !keyless;
    if (keyless) return byId("key").focus();
    byId("page-problem").textContent = error.message;
    byId("page-problem").hidden = false;
  }
}

async function changeLanguage(language) {
  setLanguage(language);
  const link = new URL(location.href);
  link.searchParams.set("language", language);
  history.replaceState(null, "", link);
  showTitle(model);
  if (!model) return;
  makeForm(model);
  question.showAgain();
  showCard(model);
  map.draw(model);
  showDrift(await ask("drift"));
}

setLanguage(currentLanguage());
showTitle(model);
for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => changeLanguage(button.dataset.language));
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  start();
});
// Before anything is waited for: a file may be chosen at once.
file.setUp();
start();
