// What every page needs beside htmx: focus on faults, and a sound for new alerts once a person asked for it.
"use strict";

document.querySelector("[data-focus]")?.focus();

const alerts = (() => {
  const wanted = () => localStorage.getItem("alert-sound") === "on";
  let audio = null;
  let heard = sessionStorage.getItem("alerts-heard") || "";

  function play() {
    if (!audio) return;
    [0, 0.28, 0.56].forEach((wait) => {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = 660;
      volume.gain.setValueAtTime(0.0001, audio.currentTime + wait);
      volume.gain.exponentialRampToValueAtTime(0.25, audio.currentTime + wait + 0.03);
      volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + wait + 0.22);
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + wait);
      tone.stop(audio.currentTime + wait + 0.25);
    });
  }

  // Browsers allow sound only after a gesture, so the first click or key opens the door.
  function open() {
    if (wanted() && !audio && window.AudioContext) audio = new AudioContext();
  }

  function look() {
    const banner = document.querySelector("[data-alerts]");
    const button = document.querySelector("[data-sound]");
    if (button) {
      button.textContent = wanted() ? "Sound is on" : "Turn sound on";
      button.setAttribute("aria-pressed", String(wanted()));
    }
    const ids = banner ? banner.dataset.alerts.split(",") : [];
    const known = new Set(heard.split(","));
    if (ids.some((id) => !known.has(id))) play();
    heard = ids.join(",");
    sessionStorage.setItem("alerts-heard", heard);
  }

  function toggle() {
    localStorage.setItem("alert-sound", wanted() ? "off" : "on");
    open();
    if (wanted()) play();
    look();
  }
  return { look, open, toggle };
})();

document.addEventListener("pointerdown", alerts.open);
document.addEventListener("keydown", alerts.open);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-sound]")) alerts.toggle();
});
document.addEventListener("htmx:afterSwap", alerts.look);

// A poll whose answer is what the page shows already must not speak, blink, or take a selection or the focus away.
const shown = new WeakMap();
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  const typing = document.activeElement;
  if (target.contains(typing) && typing.matches("input, textarea, select")) {
    event.detail.shouldSwap = event.detail.requestConfig.verb !== "get";
  }
  if ((target.getAttribute("hx-trigger") || "").includes("every")) {
    const before = shown.get(target);
    shown.set(target, event.detail.serverResponse);
    if (before === event.detail.serverResponse) event.detail.shouldSwap = false;
  }
});
