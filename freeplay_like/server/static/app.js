// What the pages do beyond links and forms. Everything is still readable, filterable and linkable without it.
"use strict";
(() => {
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

  // --- what changes a page: at its start, and after each part that is put in ------------------------------
  const starters = [];
  function onLoad(start) {
    starters.push(start);
    start(document);
  }
  document.addEventListener("htmx:after:swap", () => {
    tick();
    for (const start of starters) start(document);
  });
  document.addEventListener("htmx:before:request", () => document.getElementById("problem").replaceChildren());

  // --- said to those who cannot see it ---------------------------------------------------------------------
  function say(text) {
    document.getElementById("said").textContent = text;
  }

  // --- keys: every one is in the sheet that ? opens --------------------------------------------------------
  const keys = new Map();
  let begun = "";
  function key(names, about, act) {
    for (const name of [].concat(names)) keys.set(name, { about, act, names: [].concat(names) });
  }
  function showKeys() {
    const sheet = document.getElementById("keys");
    const list = sheet.querySelector("dl");
    list.replaceChildren(...[...new Set([...keys.values()].map((known) => known.about))].map((about) => {
      const row = document.createElement("div");
      const does = document.createElement("dt");
      const which = document.createElement("dd");
      does.textContent = about;
      const { names } = [...keys.values()].find((known) => known.about === about);
      names.forEach((name, i) => {
        if (i) which.append(" or ");
        name.split(" ").forEach((part, j) => {
          if (j) which.append(" then ");
          which.append(Object.assign(document.createElement("kbd"), { textContent: part }));
        });
      });
      row.append(does, which);
      return row;
    }));
    sheet.showModal();
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    // A dialog that was just closed keeps the focus until the page is drawn again.
    if (event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, dialog[open]")) {
      if (event.key === "Escape" && !event.target.closest("dialog")) event.target.blur();
      return;
    }
    const name = begun ? `${begun} ${event.key}` : event.key;
    begun = "";
    const known = keys.get(name);
    if (!known) {
      if ([...keys.keys()].some((other) => other.startsWith(`${name} `))) begun = name;
      return;
    }
    if (known.act(event) !== false) event.preventDefault();
  });
  function follow(selector) {
    return () => document.querySelector(selector)?.click();
  }
  key("?", "Show the keys", showKeys);
  key("/", "Search", () => document.querySelector("input[type=search]")?.select());
  key("[", "Previous", follow("a[rel=prev]"));
  key("]", "Next", follow("a[rel=next]"));
  key([..."123456789"], "Go to a room", (event) => {
    const room = document.querySelectorAll(".top nav a")[Number(event.key) - 1];
    if (!room) return false;
    room.click();
  });
  key("c", "Copy the link", () => document.querySelector("[data-copy]")?.click());

  // --- copy: a button with data-copy copies the address, or the text of the element that it names ----------
  onLoad(() => {
    for (const button of document.querySelectorAll("[data-copy]:not([data-ready])")) {
      button.dataset.ready = "";
      button.hidden = !navigator.clipboard;
      const label = button.textContent;
      button.addEventListener("click", async () => {
        const source = button.dataset.copy && document.getElementById(button.dataset.copy);
        try {
          await navigator.clipboard.writeText(source ? source.textContent : location.href);
          button.textContent = "Copied";
          say("Copied");
          setTimeout(() => { button.textContent = label; }, 2000);
        } catch {
          button.textContent = "Not allowed by the browser";
        }
      });
    }
  });

  window.freeplayLike = { key, onLoad, say, follow };
})();
