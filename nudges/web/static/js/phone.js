// The simulated phones: newest text in view, typing field empty after sending.
"use strict";

function toNewest() {
  document.querySelectorAll(".screen").forEach((screen) => { screen.scrollTop = screen.scrollHeight; });
}

document.addEventListener("htmx:afterSettle", toNewest);
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest("[data-typing]");
  if (form && event.detail.successful) form.reset();
});
toNewest();
