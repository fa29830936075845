// The page: puts its parts together.

import { ask, Refused, useKey } from "./api.js";
import { setUpBoard, startBoard, translateBoard } from "./board/board.js";
import { byId } from "./dom.js";
import { showCard, showDrift, showTitle } from "./model.js";
import { makeForm } from "./question/form.js";
import * as map from "./question/map.js";
import * as question from "./question/question.js";
import { currentLanguage, setLanguage, text } from "./texts.js";

let model = null;

async function start() {
  byId("page-problem").hidden = true;
  try {
    model = await ask("model");
    byId("key-form").hidden = true;
    showTitle(model);
    showSample();
    startBoard(model);
    question.setUp(model, () => map.draw(model));
    map.draw(model);
    showCard(model);
    showDrift(await ask("drift"));
  } catch (error) {
    const keyless = error instanceof Refused && error.status === 401;
    byId("key-form").hidden = !keyless;
    if (keyless) return byId("key").focus();
    byId("page-problem").textContent = error.message;
    byId("page-problem").hidden = false;
  }
}

function showSample() {
  byId("sample").textContent = text("sample");
  byId("sample").hidden = !model?.card.sample;
}

async function changeLanguage(language) {
  setLanguage(language);
  const link = new URL(location.href);
  link.searchParams.set("language", language);
  history.replaceState(null, "", link);
  showTitle(model);
  if (!model) return;
  showSample();
  translateBoard();
  makeForm(model);
  question.showAgain();
  map.draw(model);
  showCard(model);
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
setUpBoard();
start();
