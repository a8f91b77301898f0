"use strict";
const $ = (id) => document.getElementById(id);
const make = (name, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};

// Four significant digits.
function number(x) {
  const size = Math.abs(x);
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "not a number" : x < 0 ? "−∞" : "∞";
  const text = size && (size < 1e-4 || size >= 1e5) ? x.toExponential(3) : String(+x.toPrecision(4));
  return text.replaceAll("-", "−");
}

// The table: a row of headings, or none, and rows of a label with its numbers; a style adds a stroke like its curve's.
function numbers(head, rows) {
  const row = (cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; };
  const heading = (text, scope, style) => {
    const th = document.createElement("th");
    th.scope = scope;
    th.append(...(style ? [key(style)] : []), text);
    return th;
  };
  const cell = (value) => {
    const td = document.createElement("td"), data = document.createElement("data");
    data.value = value;
    data.textContent = number(value);
    td.append(data);
    return td;
  };
  const section = (name, trs) => { const part = document.createElement(name); part.append(...trs); return part; };
  $("numbers").replaceChildren(
    ...(head.length ? [section("thead", [row(head.map((text) => heading(text, "col")))])] : []),
    section("tbody", rows.map(([label, values, style]) =>
      row([heading(label, "row", style), ...[values].flat().map(cell)]))));
}

const stroke = ([colour, dash = ""]) =>
  ({ style: `stroke: var(--${colour})`, "stroke-dasharray": dash, "stroke-width": 2.5, fill: "none" });

const disc = (cx, cy, [colour]) => make("circle", { cx, cy, r: 5, style: `fill: var(--${colour})` });

function key(style, dot) {
  const svg = make("svg", { class: "key", viewBox: "0 0 30 10", "aria-hidden": "true" });
  svg.append(dot ? disc(24, 5, style) : make("path", { d: "M0 5H30", ...stroke(style) }));
  return svg;
}

const narrow = matchMedia("(max-width: 1000px)");  // charts are low there, so that the controls are seen beside them
let onPaper = false;  // charts are high there, and fill a sheet

// A chart to draw in, anew each time: { x: [low, high], y: [low, high], xlabel }; a style is [colour, dash].
function chart(id, title, { x, y, xlabel }) {
  const [left, right, top, bottom] = [50, 430, 10, onPaper ? 740 : narrow.matches ? 235 : 500];
  const px = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (right - left);
  const py = (value) => bottom - ((value - y[0]) / (y[1] - y[0])) * (bottom - top);
  let figure = $(id);
  if (!figure) { figure = document.createElement("figure"); figure.id = id; $("charts").append(figure); }
  const caption = document.createElement("figcaption");
  const svg = make("svg", { viewBox: `0 0 440 ${bottom + 45}`, role: "img", "aria-label": title });
  const inside = make("g", { "clip-path": `url(#clip-${id})` }), clip = make("clipPath", { id: `clip-${id}` });
  clip.append(make("rect", { x: left, y: top, width: right - left, height: bottom - top }));
  caption.append(title);
  for (const [axis, [low, high]] of [["x", x], ["y", y]]) {
    const power = 10 ** Math.floor(Math.log10((high - low) / 4)), unit = (high - low) / 4 / power;
    const step = power * (unit >= 5 ? 5 : unit >= 2 ? 2 : 1);
    for (let k = Math.ceil(low / step - 1e-9); k <= high / step + 1e-9; k++) {
      const at = axis === "x" ? px(k * step) : py(k * step), text = number(k * step);
      const colour = `stroke: var(--${k ? "cluster3" : "data"})`;
      svg.append(axis === "x"
        ? make("path", { d: `M${at} ${top}V${bottom}`, style: colour })
        : make("path", { d: `M${left} ${at}H${right}`, style: colour }));
      svg.append(axis === "x"
        ? make("text", { x: at, y: bottom + 18, "text-anchor": "middle" }, text)
        : make("text", { x: left - 7, y: at + 5, "text-anchor": "end" }, text));
    }
  }
  svg.append(make("text", { x: (left + right) / 2, y: bottom + 38, "text-anchor": "middle" }, xlabel), clip, inside);
  figure.replaceChildren(caption, svg);
  const note = (label, style, dot) => {
    const span = document.createElement("span");
    span.append(key(style, dot), label);
    if (label) caption.append(span);
  };
  const limit = (value) => Math.min(Math.max(value, -1e4), 1e4);  // of pixels: what is far away is outside anyway
  return {
    points(list, style, label) {
      const d = list.map(([a, b]) => `${limit(px(a)).toFixed(2)} ${limit(py(b)).toFixed(2)}`).join("L");
      inside.append(make("path", { d: "M" + d, ...stroke(style) }));
      note(label, style);
    },
    curve(f, style, label) { this.points(sample(x, 400).map((at) => [at, f(at)]), style, label); },
    dot(a, b, style, label) {
      if (a >= x[0] && a <= x[1] && b >= y[0] && b <= y[1]) svg.append(disc(px(a), py(b), style));
      note(label, style, true);
    },
  };
}

const sample = ([low, high], n) => Array.from({ length: n + 1 }, (_, i) => low + ((high - low) * i) / n);

let timer = null;
function speak(text) {  // once the slider rests
  clearTimeout(timer);
  timer = setTimeout(() => { $("spoken").textContent = text; }, 400);
}

const inputs = [...document.querySelectorAll("#controls input, #controls select")];
const valueOf = { range: (input) => +input.value, checkbox: (input) => input.checked };
function refresh() {
  for (const output of document.querySelectorAll("output")) output.value = number(+$(output.htmlFor.value).value);
  update(Object.fromEntries(inputs.map((input) => [input.id, (valueOf[input.type] ?? (() => input.value))(input)])));
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = { light: "☀", dark: "☾", auto: "◐" }[name];
  $("theme").setAttribute("aria-label", "Theme: " + { light: "light", dark: "dark", auto: "as the system" }[name]);
}

const commands = {
  r: () => { $("controls").reset(); refresh(); },
  t: () => {
    const names = ["light", "dark", "auto"];
    theme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
  },
};
narrow.addEventListener("change", refresh);
for (const name of ["beforeprint", "afterprint"])
  addEventListener(name, () => { onPaper = name === "beforeprint"; refresh(); });
$("reset").addEventListener("click", commands.r);
$("theme").addEventListener("click", commands.t);
$("controls").addEventListener("input", refresh);
$("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  const command = commands[event.key.toLowerCase()];
  if (!command || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  command();
});
