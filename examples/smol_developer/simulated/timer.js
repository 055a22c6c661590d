const time = document.querySelector("#time");
const toggle = document.querySelector("#toggle");
let seconds = 25 * 60;
let timer = null;

function show() {
  const minutes = Math.floor(seconds / 60);
  time.textContent = `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick() {
  seconds -= 1;
  show();
  if (seconds === 0) stop();
}

function stop() {
  clearInterval(timer);
  timer = null;
  toggle.textContent = "Start";
}

toggle.onclick = () => {
  if (timer) return stop();
  if (seconds === 0) seconds = 25 * 60;
  timer = setInterval(tick, 1000);
  toggle.textContent = "Pause";
};

show();
