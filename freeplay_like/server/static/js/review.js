// Reviewing with one key each: on a call's own form, or on the row of a list that has the focus.
"use strict";
(() => {
  const { key, say, follow } = window.freeplayLike;

  function form() {
    return document.querySelector("form[data-verdict]");
  }
  function row() {
    return document.activeElement.closest("[data-review]");
  }
  function give(verdict, said) {
    return () => {
      const button = form()?.querySelector(`button[value="${verdict}"]`);
      const target = row()?.querySelector("[data-marks]");
      if (button) return button.click();
      if (!target || form()) return false;
      htmx.ajax("POST", row().dataset.review, { values: { verdict, part: "marks" }, target, swap: "innerHTML" });
      say(said);
    };
  }
  key("g", "Good", give("good", "Good"));
  key("b", "Bad", give("bad", "Bad"));
  key("n", "Write a note", () => {
    const note = form()?.elements.note;
    if (note) return note.focus();
    const link = row()?.querySelector("a[href]");
    if (!link) return false;
    location.assign(`${link.href}#verdict`);
  });
  key("u", "Take the last verdict back", () => {
    const undo = document.querySelector("[data-undo]");
    if (undo) return undo.click();
    return give("none", "Taken back")();
  });
  if (document.querySelector("[data-skip]")) {
    key("s", "Skip", follow("[data-skip]"));
    key("a", "Put into a dataset", () => {
      const box = document.querySelector("details[data-case]");
      box.open = true;
      box.querySelector("textarea").focus();
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const save = event.target.closest?.("form[data-verdict]")?.querySelector("[data-save]");
    if (!save) return;
    event.preventDefault();
    save.click();
  });

  // The form comes anew with each answer, but for the note, which somebody may be typing: it is kept by its id. What is
  // taken back takes the note along.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-undo]")) form()?.elements.note.removeAttribute("id");
  });

  // A form beside a list (the peek panel): the row shows at once what was said.
  document.addEventListener("htmx:after:swap", () => {
    for (const copy of document.querySelectorAll("[data-marks-of]")) {
      const marks = document.querySelector(`[data-review="${CSS.escape(copy.dataset.marksOf)}"] [data-marks]`);
      if (marks) marks.replaceChildren(...copy.cloneNode(true).childNodes);
    }
  });
})();
