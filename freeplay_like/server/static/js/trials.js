// Test cases and runs: a row at a time by key, and a file read into the field that is sent.
"use strict";
(() => {
  const { follow, key, onLoad, say } = window.freeplayLike;

  // --- rows: the one with the focus is the current one -----------------------------------------------------
  function rows() {
    return [...document.querySelectorAll("[data-row]")];
  }
  function move(step) {
    const all = rows();
    const now = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(all.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
    const target = next?.matches("[tabindex]") ? next : next?.querySelector("a.open") ?? next?.querySelector("a");
    target?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
  if (rows().length) {
    key(["j", "ArrowDown"], "Next row", () => move(1));
    key(["k", "ArrowUp"], "Previous row", () => move(-1));
    key("x", "Choose the row", () => {
      const row = document.activeElement.closest("[data-row]");
      row?.querySelector("input[type=checkbox]")?.click();
    });
  }

  if (document.getElementById("compare")) key("d", "Compare those chosen", follow("#compare"));

  // --- a file becomes the text of the form: forms send text alone ------------------------------------------
  onLoad(() => {
    for (const file of document.querySelectorAll("input[type=file][data-into]:not([data-ready])")) {
      file.dataset.ready = "";
      file.closest("label").hidden = false;
      file.addEventListener("change", async () => {
        if (!file.files.length) return;
        document.getElementById(file.dataset.into).value = await file.files[0].text();
        say(`${file.files[0].name} is read`);
      });
    }
  });
})();
