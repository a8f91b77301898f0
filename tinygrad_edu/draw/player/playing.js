// Plays the steps from 0 to `last`: by buttons, slider, keys and a timer. The page has `last`, and draw(k) for a step.
const slider = $("slider"), state = { step: 0, timer: null };

function show(k) {
  state.step = k = Math.min(Math.max(Math.round(k), 0), last);
  slider.value = k;
  $("count").textContent = k + " / " + last;
  for (const id of ["first", "previous"]) $(id).setAttribute("aria-disabled", k === 0);
  for (const id of ["next", "last"]) $(id).setAttribute("aria-disabled", k === last);
  draw(k);
}

function say(short, text) {
  slider.setAttribute("aria-valuetext", short);
  $("spoken").textContent = text;
}

function go(k) { pause(); show(k); }

function play() {
  if (state.step === last) show(0);
  $("play").textContent = "pause";
  clearTimeout(state.timer);
  state.timer = setTimeout(function tick() {
    show(state.step + 1);
    if (state.step === last) pause(); else state.timer = setTimeout(tick, +$("speed").value);
  }, +$("speed").value / 3);
}

function pause() {
  clearTimeout(state.timer);
  state.timer = null;
  $("play").textContent = "play";
}

const playing = {
  first: () => go(0), previous: () => go(state.step - 1), next: () => go(state.step + 1), last: () => go(last),
  play: () => (state.timer === null ? play() : pause()), theme: nextTheme,
  speed: () => { $("speed").selectedIndex = ($("speed").selectedIndex + 1) % 3; },
};
const playingKeys = {
  ArrowLeft: "previous", ArrowUp: "previous", ArrowRight: "next", ArrowDown: "next", Home: "first", End: "last",
  " ": "play", t: "theme", s: "speed",
};

function listen(commands, keys, shifted = {}) {
  for (const button of document.querySelectorAll("nav button")) button.addEventListener("click", commands[button.id]);
  slider.max = last;
  slider.addEventListener("input", () => go(+slider.value));
  addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, on = event.target.tagName;
    const command = (event.shiftKey && shifted[key]) || keys[key];
    if (!command || event.ctrlKey || event.metaKey || event.altKey || on === "SELECT") return;
    if (event.key === " " && on === "BUTTON") return;  // it presses the button
    event.preventDefault();
    commands[command]();
  });
}
