// The page that shows a first key waits for the first call, and goes to the list when it has come.
"use strict";
document.addEventListener("htmx:sse:after:message", (event) => {
  const { calls } = event.target.dataset;
  if (calls) location.assign(calls);
});
