// Health: what is under the pointer is said in every chart at once, and the state of the server stays fresh.
"use strict";
(() => {
  const EVERY_MS = 5000;

  function show(at) {
    for (const chart of document.querySelectorAll(".chart")) {
      chart.querySelector(".is-at")?.classList.remove("is-at");
      const spot = at === null ? null : chart.querySelector(`a[data-at="${at}"]`);
      spot?.classList.add("is-at");
      chart.querySelector("[data-readout]").textContent = spot?.querySelector("title").textContent ?? "";
    }
  }
  document.addEventListener("pointerover", (event) => {
    const spot = event.target.closest?.("a[data-at]");
    if (spot) show(spot.dataset.at);
    else if (!event.target.closest?.(".chart")) show(null);
  });

  // Nobody is interrupted: neither a page in the background, nor whoever has the keyboard in there.
  setInterval(() => {
    const server = document.getElementById("server");
    if (!document.hidden && !server.contains(document.activeElement)) htmx.trigger(server, "refresh");
  }, EVERY_MS);
})();
