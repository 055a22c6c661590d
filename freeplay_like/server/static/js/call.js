// One call, and sessions: keys, what a variable's name shows, and the address that follows what is looked at.
"use strict";
(() => {
  const { key, say, follow } = window.freeplayLike;

  // --- keys ------------------------------------------------------------------------------------------------
  const call = document.getElementById("call");
  const calls = () => [...document.querySelectorAll("[data-call], .sessions .row-link")];
  function move(step) {
    return () => {
      const links = calls();
      if (!links.length) return false;
      const here = links.indexOf(document.activeElement);
      const next = links[here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step];
      next?.focus({ preventScroll: true });
      (next?.closest(".exchange") ?? next)?.scrollIntoView({ block: next?.closest(".exchange") ? "start" : "nearest" });
    };
  }
  if (call) {
    key("r", "Replay", follow("#call [data-replay]"));
    key("a", "Add to a dataset", follow("#call [data-case]"));
    key("d", "Compare with the call before", follow("#call [data-compare]"));
    key("m", "Markdown, or plain text", toggle("markdown"));
    key("t", "The template, or what was made of it", toggle("template"));
    const tabs = { o: "overview", p: "parameters", i: "timeline", x: "tools", $: "cost", w: "raw", h: "history", y: "code" };
    for (const [name, tab] of Object.entries(tabs)) {
      key(`v ${name}`, `View: ${tab}`, follow(`.side > .tabs [data-view="${tab}"]`));
    }
  } else {
    key(["j", "]"], "Next", move(1));
    key(["k", "["], "Previous", move(-1));
  }
  function toggle(name) {
    return () => {
      const link = document.querySelector(`.switch [data-view="${name}"]`);
      if (!link) return false;
      (link.ariaCurrent ? link.parentElement.firstElementChild : link).click();
    };
  }

  // --- what is looked at, in the address (a panel beside a list leaves the list's address alone) ------------
  document.addEventListener("htmx:after:swap", (event) => {
    const link = event.detail.ctx?.sourceElement;
    if (link?.matches?.("[data-view]") && link.pathname === location.pathname) {
      history.replaceState(history.state, "", link.href);
    }
  });
  htmx.config.morphIgnore = [...(htmx.config.morphIgnore ?? []), "open"]; // what somebody opened stays open

  // --- variables: where a value stands, and whose a stretch of text is --------------------------------------
  function show(name) {
    const places = [...document.querySelectorAll("#call [data-variable]")];
    for (const place of places) place.classList.toggle("is-shown", place.dataset.variable === name);
    for (const row of document.querySelectorAll("#call [data-names]")) {
      row.classList.toggle("is-shown", row.dataset.names === name);
    }
    return places.filter((place) => place.dataset.variable === name);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) {
      const places = show(button.dataset.show);
      const first = places[0];
      const fold = first?.closest("details:not([open])");
      if (fold) fold.open = true;
      first?.scrollIntoView({ block: "center" });
      say(`${button.dataset.show} stands in ${places.length} places`);
      return;
    }
    const place = event.target.closest("[data-variable]");
    if (!place || event.ctrlKey || event.metaKey || event.shiftKey) return;
    show(place.dataset.variable);
    const row = [...document.querySelectorAll("#call [data-names]")].find((each) => each.dataset.names === place.dataset.variable);
    if (!row) return;
    event.preventDefault();
    row.scrollIntoView({ block: "center" });
  });
})();
