// The list of calls: its keys, rows that come by themselves, what is chosen, and the call that is open beside it.
"use strict";
(() => {
  const { key, onLoad, say } = window.freeplayLike;
  const MOST_ROWS = 300; // a list that grew past this is loaded again, so that a page left open stays light
  const RELOAD_AFTER_MS = 1000;
  const FIGURES_AFTER_MS = 3000;
  const WIDE = matchMedia("(min-width: 64rem)");
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- search: an address says only what is set ------------------------------------------------------------
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (!ctx.sourceElement.matches("#search")) return;
    for (const [name, value] of [...ctx.request.body]) if (!value.trim()) ctx.request.body.delete(name);
  });

  // --- rows: the one that has the focus, or else the one that is open --------------------------------------
  const peek = find("#peek");
  const rows = () => all("#rows > tr");
  const linkOf = (row) => find(".row-link", row);
  const here = () => document.activeElement.closest("#rows > tr") ?? find("#rows > tr.is-peeked");
  function go(row) {
    if (!row) return;
    linkOf(row).focus();
    row.scrollIntoView({ block: "nearest" });
    if (peek && !peek.hidden) openPeek(row);
  }
  function move(step) {
    const list = rows();
    const at = list.indexOf(here());
    go(list[at < 0 ? (step > 0 ? 0 : list.length - 1) : at + step]);
  }

  // --- the call beside the list ----------------------------------------------------------------------------
  function address(id) {
    const url = new URL(location.href);
    if (id) url.searchParams.set("peek", id);
    else url.searchParams.delete("peek");
    history.replaceState(history.state, "", url);
  }
  function show(url, id) {
    peek.hidden = false;
    find("#peek-open").href = url;
    address(id);
    const target = find("#peeked");
    htmx.ajax("GET", url, { source: target, target, select: "#call", swap: "innerHTML ignoreTitle:true" });
    for (const row of rows()) row.classList.toggle("is-peeked", find("input", row).value === id);
  }
  function openPeek(row) {
    show(linkOf(row).href, find("input", row).value);
  }
  function closePeek() {
    if (!peek || peek.hidden) return false;
    const row = find("#rows > tr.is-peeked");
    peek.hidden = true;
    find("#peeked").replaceChildren();
    address(null);
    row?.classList.remove("is-peeked");
    if (row && !document.activeElement.closest("#rows")) linkOf(row).focus();
    settle();
  }
  document.addEventListener("click", (event) => {
    const step = event.target.closest("[data-peek]")?.dataset.peek;
    if (step) return step === "0" ? closePeek() : move(Number(step));
    const link = event.target.closest(".row-link");
    if (!link || !peek || !WIDE.matches || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const row = link.closest("tr");
    if (row.classList.contains("is-peeked")) return; // once more leads to its page
    event.preventDefault();
    openPeek(row);
  });
  const opened = find("#peeked")?.dataset.peeked;
  if (opened) show(find("#peek-open").href, opened);

  // --- choosing --------------------------------------------------------------------------------------------
  let lastBox = null;
  const boxes = () => all("#rows input[name=id]");
  function chosen() {
    const form = find("#selection");
    if (!form) return;
    const count = boxes().filter((box) => box.checked).length;
    for (const box of boxes()) box.closest("tr").classList.toggle("is-chosen", box.checked);
    form.hidden = !count;
    if (!count) form.elements.all.checked = false;
    find("#chosen").textContent = form.elements.all.checked ? "All that match" : `${count} chosen`;
    find("#all-on-page").checked = count > 0 && count === boxes().length;
    form.elements.do.forEach((button) => {
      if (button.value === "compare") button.disabled = form.elements.all.checked || count < 2 || count > 4;
    });
    settle();
  }
  function choose(box, isRange) {
    const list = boxes();
    const ends = [list.indexOf(isRange ? lastBox : box), list.indexOf(box)].sort((a, b) => a - b);
    for (const each of list.slice(Math.max(0, ends[0]), ends[1] + 1)) each.checked = box.checked;
    lastBox = box;
    chosen();
  }
  function toggle(isRange) {
    const box = here() && find("input", here());
    if (!box) return say("Move to a row first, with j");
    box.checked = isRange || !box.checked;
    choose(box, isRange);
  }
  function chooseAll(isChosen) {
    for (const box of boxes()) box.checked = isChosen;
    chosen();
  }
  document.addEventListener("click", (event) => {
    if (event.target.matches("#rows input[name=id]")) choose(event.target, event.shiftKey);
    if (event.target.matches("#all-on-page")) chooseAll(event.target.checked);
    if (event.target.matches("#selection input[name=all]")) chosen();
  });
  onLoad(() => {
    const box = find("#all-on-page");
    if (!box) return;
    box.hidden = false;
    chosen();
  });

  // --- the live tail: what somebody reads does not move ----------------------------------------------------
  let reload = null;
  let held = 0;
  let isBehind = false;
  let isConnected = false;
  function isRead() {
    return scrollY > 40 || !!document.activeElement.closest("#rows") || (peek && !peek.hidden) || !!find("#rows input:checked");
  }
  function loadAgain() {
    reload ??= setTimeout(async () => {
      try { // until the rows are there, the old ones may be told again that they are behind
        await htmx.ajax("GET", location.href, { target: "#calls", select: "#calls", swap: "outerHTML" });
      } finally {
        reload = null;
      }
      refresh();
    }, RELOAD_AFTER_MS);
  }
  function hold(count) {
    held += count;
    const link = find("#arrived");
    link.hidden = false;
    link.textContent = isBehind ? "many new calls" : `${held} new ${held === 1 ? "call" : "calls"}`;
    sign("paused", true);
  }
  function settle() {
    setTimeout(() => { if ((held || isBehind) && !isRead()) find("#arrived")?.click(); });
  }
  function sign(text, isWaiting) {
    const live = find("[data-live]");
    if (!live) return;
    live.hidden = false;
    live.textContent = text;
    live.classList.toggle("waiting", isWaiting);
  }
  document.addEventListener("scroll", settle, { passive: true });
  document.addEventListener("focusout", settle);
  document.addEventListener("htmx:after:swap", () => {
    if (!find("#arrived:not([hidden])")) [held, isBehind] = [0, false];
  });
  document.addEventListener("htmx:sse:before:connection", (event) => { if (isBehind) event.preventDefault(); });
  document.addEventListener("htmx:sse:after:connection", (event) => {
    if (!event.target.rows) return;
    isConnected = true;
    sign(held ? "paused" : "live", held > 0);
  });
  document.addEventListener("htmx:sse:error", (event) => {
    if (!event.target.rows) return;
    isConnected = false;
    sign(event.detail.status === 401 ? "signed out: reload to sign in" : "waiting for the server", true);
  });
  document.addEventListener("behind", () => {
    if (!isRead()) return loadAgain();
    isBehind = true;
    hold(1);
  });
  const rowsIn = (event) => event.detail.message.data.match(/<tr id="call-/g)?.length ?? 0;
  document.addEventListener("htmx:sse:before:message", (event) => {
    const body = event.target;
    if (!body.rows) return;
    body.dataset.rows = body.rows.length;
    const count = rowsIn(event);
    if (!count || !isRead()) return;
    event.preventDefault();
    hold(count);
    refresh();
  });
  document.addEventListener("htmx:sse:after:message", (event) => {
    const body = event.target;
    if (body.id === "calls" && rowsIn(event)) return location.reload(); // the page that waits for the first call
    if (!body.rows) return;
    const count = body.rows.length - Number(body.dataset.rows);
    for (let i = 0; i < count; i++) body.rows[i].classList.add("is-new");
    if (!count) return;
    find("#calls .none")?.remove();
    refresh();
    if (body.rows.length > MOST_ROWS && !isRead()) loadAgain();
  });

  // --- figures: they follow what has come, but not under somebody's hands ----------------------------------
  let due = null;
  function refresh() {
    due ??= setTimeout(() => {
      due = null;
      const facets = find("#facets");
      if (document.hidden || !isConnected || document.activeElement.closest("#facets, #histogram")) return refresh();
      if (facets) htmx.trigger(facets, "refresh");
    }, FIGURES_AFTER_MS);
  }
  const folds = JSON.parse(sessionStorage.getItem("facets") ?? "{}");
  document.addEventListener("click", (event) => {
    const fold = event.target.closest("#facets summary")?.parentElement;
    if (!fold) return;
    folds[fold.dataset.facet] = !fold.open;
    sessionStorage.setItem("facets", JSON.stringify(folds));
  });
  onLoad(() => {
    for (const fold of all("#facets details")) fold.open = folds[fold.dataset.facet] ?? fold.open;
  });

  // --- the histogram: one bar by a click, several by dragging or with shift and the arrows -----------------
  let brush = null; // the first and the last bar
  const bars = () => all("#histogram a");
  function brushed() {
    const list = bars();
    const [first, last] = brush ? brush.map((bar) => list.indexOf(bar)).sort((a, b) => a - b) : [-1, -2];
    list.forEach((bar, i) => bar.classList.toggle("is-brushed", i >= first && i <= last));
    const said = find("#histogram .brushed");
    if (said) said.textContent = first < last ? `${words(list[first].dataset.from)} to ${words(list[last].dataset.to)}` : "";
    return first < last ? [list[first].dataset.from, list[last].dataset.to] : null;
  }
  function words(moment) {
    return `${moment.slice(0, 10)} ${moment.slice(11, 16)}`;
  }
  function narrow() {
    const range = brushed();
    if (!range) return false;
    const asked = new URLSearchParams({ field: "started_at", low: range[0], high: range[1] });
    asked.set("q", new URLSearchParams(location.search).get("q") ?? "");
    location.assign(`${find("#histogram").dataset.narrow}?${asked}`);
    return true;
  }
  function barAt(x) {
    const far = (bar) => Math.abs(bar.getBoundingClientRect().x + bar.getBoundingClientRect().width / 2 - x);
    return bars().reduce((near, bar) => (near && far(near) <= far(bar) ? near : bar), null);
  }
  let wasDragged = false;
  document.addEventListener("pointerdown", (event) => {
    wasDragged = false;
    if (event.button || !event.target.closest("#histogram svg")) return;
    brush = [barAt(event.clientX), barAt(event.clientX)];
  });
  document.addEventListener("pointermove", (event) => {
    if (!brush || event.buttons !== 1) return;
    brush[1] = barAt(event.clientX);
    wasDragged ||= brush[0] !== brush[1];
    brushed();
  });
  document.addEventListener("pointerup", () => {
    if (brush && wasDragged) narrow();
    brush = null;
  });
  document.addEventListener("dragstart", (event) => { if (event.target.closest?.("#histogram")) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    if (wasDragged && event.target.closest("#histogram")) event.preventDefault();
  }, true);
  document.addEventListener("keydown", (event) => {
    const bar = event.target.closest?.("#histogram a");
    if (!bar) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const next = bars()[bars().indexOf(bar) + step];
      if (next) {
        bars().forEach((each) => { each.tabIndex = each === next ? 0 : -1; });
        next.focus();
        brush = event.shiftKey ? [brush?.[0] ?? bar, next] : null;
        brushed();
      }
    } else if (event.key === "Escape" && brush) {
      brush = null;
      brushed();
    } else if (event.key !== "Enter" || !narrow()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  onLoad(() => bars().forEach((bar, i) => { bar.tabIndex = i ? -1 : 0; }));

  // --- keys ------------------------------------------------------------------------------------------------
  const link = () => here() && linkOf(here()).href;
  key("j", "Next row", () => move(1));
  key("k", "Previous row", () => move(-1));
  key("Enter", "Open the call beside the list, again for its page", () => false); // the link itself does it
  key("o", "Open the call's page", () => (link() ? location.assign(link()) : false));
  key("Escape", "Close", closePeek);
  key("f", "Filters", () => find("#facets summary")?.focus());
  key("x", "Choose the row", () => toggle(false));
  key("X", "Choose the rows up to here", () => toggle(true));
  key("a", "Choose all on the page", () => chooseAll(!boxes().every((box) => box.checked)));
  key(".", "Next error", () => {
    const list = rows();
    const next = list.slice(list.indexOf(here()) + 1).find((row) => find(".outcome.error", row));
    if (next) go(next);
    else say("No further error on this page");
  });
  key("G", "Newest calls", () => {
    document.activeElement.blur();
    scrollTo(0, 0);
    if (find("[data-live]")) settle();
    else find("#arrived")?.click();
  });
  key("c", "Copy the link", async () => {
    const url = link() && (!peek || peek.hidden) ? link() : location.href;
    try {
      await navigator.clipboard.writeText(url);
      say("Copied");
    } catch {
      say("The browser does not allow to copy");
    }
  });
  key("r", "Replay the call", () => (link() ? location.assign(`${link()}/replay`) : false));
  key("d", "Compare the chosen calls", () => {
    const button = find("#selection button[value=compare]");
    if (button.disabled || find("#selection").hidden) say("Choose two to four calls first, with x");
    else button.click();
  });
  key("s", "Save the view", () => {
    find("#views").open = true;
    find("#view-name").focus();
  });
})();
