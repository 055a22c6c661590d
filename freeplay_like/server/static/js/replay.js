// Replays and the playground: answers that grow, and an editor that is run with a key.
"use strict";
(() => {
  const { key, say, follow } = window.freeplayLike;

  // --- answers: one that has ended is put in whole, with what is different marked ---------------------------
  document.addEventListener("end", () => {
    const part = document.getElementById("replay");
    if (!part?.dataset.follows) return;
    htmx.ajax("GET", part.dataset.follows, { target: "#replay", select: "#replay", swap: "outerHTML" });
    say("An answer is complete");
  });

  // --- Ctrl Enter sends the form ---------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const form = document.querySelector("form[data-run]");
    form?.requestSubmit(form.querySelector("[data-main]") ?? undefined);
  });
  key("r", "Replay again", follow("[data-again]"));

  // --- the variables that the messages name, found while they are typed ------------------------------------
  const editor = document.getElementById("playground");
  let due = null;
  editor?.addEventListener("input", (event) => {
    if (!event.target.matches("[data-message], [name=syntax]")) return;
    clearTimeout(due);
    due = setTimeout(() => {
      const values = { ...Object.fromEntries(new FormData(editor)), do: "check" };
      htmx.ajax("POST", editor.action, { values, target: "#variables", select: "#variables", swap: "outerHTML" });
    }, 400);
  });
})();
