// The text of a call that runs: put behind what is there already, wherever an element says `data-grows`.
"use strict";
document.addEventListener("text", (event) => {
  if (!event.target.matches("[data-grows]")) return;
  event.target.insertAdjacentHTML("beforeend", event.detail.data); // escaped by the server: it is text alone
});
