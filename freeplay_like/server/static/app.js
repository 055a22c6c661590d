// What the pages do beyond links and forms. Everything is still readable, filterable and linkable without it.
"use strict";
(() => {
  const MOST_ROWS = 300; // a list that grew past this is loaded again, so that a page left open stays light
  const RELOAD_AFTER_MS = 1000;

  // --- relative times: the same words as the server writes -------------------------------------------------
  const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [86400 * 30, 86400, "d"]];
  function ago(then) {
    const seconds = (Date.now() - then) / 1000;
    if (seconds < 1) return "now";
    for (const [below, unit, name] of STEPS) if (seconds < below) return `${Math.floor(seconds / unit)} ${name} ago`;
    return new Date(then).toISOString().slice(0, 10);
  }
  function tick() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }
  setInterval(tick, 10000);

  // --- filters: an address says only what is set -----------------------------------------------------------
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (!ctx.sourceElement.matches(".filters")) return;
    for (const [name, value] of [...ctx.request.body]) if (!value.trim()) ctx.request.body.delete(name);
  });

  // --- the live tail ---------------------------------------------------------------------------------------
  let reload = null;
  function loadAgain() {
    reload ??= setTimeout(() => {
      reload = null;
      htmx.ajax("GET", location.href, { target: "#calls", select: "#calls", swap: "outerHTML" });
    }, RELOAD_AFTER_MS);
  }
  function show(text, isWaiting) {
    const sign = document.querySelector("[data-live]");
    if (!sign) return;
    sign.hidden = false;
    sign.textContent = text;
    sign.classList.toggle("waiting", isWaiting);
  }
  document.addEventListener("htmx:sse:after:connection", () => show("live", false));
  document.addEventListener("htmx:sse:error", (event) =>
    show(event.detail.status === 401 ? "signed out: reload to sign in" : "waiting for the server", true));
  document.addEventListener("behind", loadAgain);
  document.addEventListener("htmx:sse:before:message", (event) => {
    const rows = event.target.rows;
    if (rows) event.target.dataset.rows = rows.length;
  });
  document.addEventListener("htmx:sse:after:message", (event) => {
    const body = event.target;
    if (!body.rows) return location.reload(); // the page that waits for the first call
    for (let i = 0; i < body.rows.length - Number(body.dataset.rows); i++) body.rows[i].classList.add("is-new");
    document.querySelector("#calls .none")?.remove();
    if (body.rows.length > MOST_ROWS && scrollY === 0) loadAgain();
  });

  // --- keys ------------------------------------------------------------------------------------------------
  function move(step) {
    const links = [...document.querySelectorAll(".row-link")];
    const here = links.indexOf(document.activeElement);
    const next = links[here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    "/": () => document.querySelector("input[type=search]")?.select(),
    "[": () => document.querySelector("a[rel=prev]")?.click(),
    "]": () => document.querySelector("a[rel=next]")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // --- copy the address ------------------------------------------------------------------------------------
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed: copy it from the address bar";
      }
    });
  }
})();
