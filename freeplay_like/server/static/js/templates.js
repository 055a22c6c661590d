// The templates' pages: keys, the editor's rendering as it is typed, and a question before input is lost.
"use strict";
(() => {
  const { key, onLoad, say, follow } = window.freeplayLike;

  // --- keys of links and buttons that name one -------------------------------------------------------------
  const about = { e: "Edit", n: "The change after", p: "The change before", u: "One under the other", s: "Side by side" };
  for (const link of document.querySelectorAll("[data-key]")) {
    const name = link.dataset.key;
    key(name, about[name], follow(`[data-key="${name}"]`));
  }

  // --- rows: j and k go through them, Enter opens the one that has the focus (it is a link) ----------------
  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  function step(by) {
    const links = rows().map((row) => row.querySelector("th a"));
    const at = links.indexOf(document.activeElement);
    (links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)])?.focus();
  }
  if (rows().length) {
    key("j", "Next row", () => step(1));
    key("k", "Previous row", () => step(-1));
  }

  // --- the editor ------------------------------------------------------------------------------------------
  const form = () => document.getElementById("editor");
  if (!form()) return;
  const NOT_KEPT = new Set(["variables", "example", "do"]); // the example is no part of a version
  function state() {
    return JSON.stringify([...new FormData(form())].filter(([name]) => !NOT_KEPT.has(name)));
  }
  const saved = "dirty" in form().dataset ? null : state();
  let isSaving = false;
  const render = () => window.htmx.trigger("#rendering", "render");
  const save = () => document.getElementById("save").click();

  window.addEventListener("beforeunload", (event) => {
    if (!isSaving && state() !== saved) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    if (event.target === form()) isSaving = true;
  });
  window.addEventListener("pageshow", () => { isSaving = false; });

  key("Ctrl+s", "Save as new version", save);
  key("Ctrl+Enter", "Render", render);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    const act = { s: save, Enter: render }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "example" && event.target.value) document.getElementById("use").click();
  });
  document.addEventListener("input", (event) => {
    const example = document.getElementById("example");
    if (event.target.id === "variables" && example) example.value = "";
  });

  // After a change of the messages the server says where to go on; else it is where it was.
  let whole = form();
  let last = "";
  document.addEventListener("htmx:before:swap", () => { last = document.activeElement?.id ?? ""; });
  onLoad(() => {
    if (form() === whole) return;
    whole = form();
    (whole.querySelector("[autofocus]") ?? (last ? document.getElementById(last) : null))?.focus();
  });
  document.addEventListener("htmx:after:swap", () => {
    const summary = document.querySelector("[data-summary]");
    if (summary) say(summary.textContent);
  });
})();
