// The sequence editor: line numbers that carry the findings, and a jump from a finding to its line.
"use strict";

const editor = document.querySelector("[data-editor]");
const gutter = document.querySelector("[data-gutter]");

function findings() {
  const worst = new Map();
  document.querySelectorAll("#findings [data-line]").forEach((item) => {
    const line = Number(item.dataset.line);
    if (worst.get(line) !== "error") worst.set(line, item.dataset.severity);
  });
  return worst;
}

function draw() {
  const marked = findings();
  const count = editor.value.split("\n").length;
  const lines = [];
  for (let number = 1; number <= count; number += 1) {
    const line = document.createElement("span");
    line.textContent = String(number);
    if (marked.has(number)) line.className = marked.get(number);
    lines.push(line);
  }
  gutter.replaceChildren(...lines);
  gutter.scrollTop = editor.scrollTop;
}

function jump(line) {
  const lines = editor.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  editor.focus();
  editor.setSelectionRange(start, start + (lines[line - 1] || "").length);
  const height = editor.scrollHeight / lines.length;
  editor.scrollTop = Math.max(0, (line - 6) * height);
}

let saved = editor.value;
editor.addEventListener("input", draw);
editor.addEventListener("scroll", () => { gutter.scrollTop = editor.scrollTop; });
editor.form.addEventListener("submit", () => { saved = editor.value; });
window.addEventListener("beforeunload", (event) => {
  if (editor.value !== saved) event.preventDefault();
});
document.addEventListener("htmx:afterSwap", draw);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-jump]");
  if (button) jump(Number(button.dataset.jump));
});
// Two spaces are an indent in YAML; Escape, then Tab, leaves the field.
let leaving = false;
editor.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { leaving = true; return; }
  if (event.key === "Tab" && !event.shiftKey && !leaving) {
    event.preventDefault();
    editor.setRangeText("  ", editor.selectionStart, editor.selectionEnd, "end");
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  }
  leaving = false;
});
draw();
