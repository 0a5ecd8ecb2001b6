// The phrase builder: a click on a slot puts it where the cursor stands.
"use strict";

const words = document.querySelector("#words");

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-slot]");
  if (!button) return;
  const start = words.selectionStart;
  const before = words.value.slice(0, start);
  const gap = before && !before.endsWith(" ") ? " " : "";
  words.setRangeText(`${gap}${button.dataset.slot} `, start, words.selectionEnd, "end");
  words.focus();
});
