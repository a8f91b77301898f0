"""Pages for lessons that have sliders: one HTML file with a table of numbers and charts, which needs no network.

A lesson brings its controls, its functions, and a script that defines `update(settings)`. Whenever a control moves,
that gets their values by name, and calls `numbers`, `chart` and `speak`. Looks and keys are the step player's.
"""

import html
import sys

from tinygrad_edu.draw.player.player import fill, variables
from tinygrad_edu.draw.theme import DARK, FONT, LIGHT


def slider(name, label, low, high, value, step=0.01):
    """A number from low to high; the arrow keys move it by the step."""
    bounds = f'min="{low}" max="{high}" step="{step}" value="{value}"'
    return control(name, label, f'<input type="range" id="{name}" {bounds}><output for="{name}"></output>')


def choice(name, label, options):
    """One of several texts, the first to begin with."""
    items = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return control(name, label, f'<select id="{name}">{items}</select>')


def switches(label, chosen):
    """A box to tick for each name in the dict, on or off."""
    boxes = "".join(
        f'<label><input type="checkbox" id="{name}"{" checked" * on}> {name}</label>' for name, on in chosen.items()
    )
    return f"<fieldset><legend>{html.escape(label)}</legend>{boxes}</fieldset>"


def control(name, label, element):
    """A control with its label on the left."""
    return f'<div class="control"><label for="{name}">{html.escape(label)}</label>{element}</div>'


def write(path, title, lead, controls, functions, script):
    """Writes the page, and prints where it is.

    Args:
        path: Of the page; folders are made if missing.
        title: Its heading.
        lead: What to try, in a sentence or two.
        controls: What `slider`, `choice` and `switches` returned, from top to bottom.
        functions: {name: (what the lesson uses, formula, ...)}, the formulas in JavaScript. The script finds them in
            FUNCTIONS[name], as functions of z and a.
        script: Path of the JavaScript that defines `update(settings)`.
    """
    rows = [f'"{name}": [{", ".join(f"(z, a) => {x}" for x in found)}]' for name, (_, *found) in functions.items()]
    text = fill(
        SHELL,
        title=html.escape(title),
        lead=html.escape(lead),
        controls="\n".join(controls),
        font=FONT,
        light=variables(LIGHT),
        dark=variables(DARK),
        helpers=HELPERS,
        functions=",\n  ".join(rows),
        script=script.read_text(encoding="utf-8"),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"error: --html must be a file: cannot write {path} ({error.strerror})")
    print(f"page with sliders: {path}")


SHELL = """<!DOCTYPE html>
<html lang="en" data-theme="auto">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
:root { color-scheme: light; {{light}} }
:root[data-theme="dark"] { color-scheme: dark; {{dark}} }
@media (prefers-color-scheme: dark) { :root[data-theme="auto"] { color-scheme: dark; {{dark}} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--text); font: 16px/1.4 {{font}}; }
header { display: flex; align-items: center; gap: 8px; padding: 10px 18px; }
h1 { flex: 1; font-size: 1.2rem; margin: 0; }
main { display: grid; grid-template-columns: 410px minmax(0, 1fr); gap: 18px; padding: 0 18px 14px; }
#side { background: var(--cluster1); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; }
#side > p { margin: 0 0 10px; color: var(--muted); }
.control { display: grid; grid-template-columns: 112px 1fr 62px; gap: 10px; align-items: center; min-height: 34px; }
.control select { grid-column: 2 / 4; }
.control output, td { text-align: right; font-variant-numeric: tabular-nums; }
input { accent-color: var(--value_wire); margin: 0; }
fieldset { border: 0; margin: 6px 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 14px; }
legend { padding: 0; margin-bottom: 4px; }
button, select {
  font: inherit; height: 34px; min-width: 42px; padding: 0 10px; cursor: pointer;
  color: var(--text); background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
}
button:hover, select:hover { border-color: var(--muted); }
:focus-visible { outline: 3px solid var(--highlight); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; }
th { font-weight: normal; text-align: left; padding: 3px 0; }
thead th { color: var(--muted); border-bottom: 1px solid var(--rule); }
thead th + th { text-align: right; }
td { padding: 3px 0 3px 12px; font-weight: bold; }
#charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; align-content: start; }
figure { margin: 0; }
figcaption { font-weight: bold; min-height: 1.6em; }
figcaption span { font-weight: normal; margin-left: 12px; white-space: nowrap; color: var(--muted); }
figure svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 14px; }
.key { width: 30px; height: 10px; display: inline-block; margin-right: 6px; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (max-width: 1000px) { main { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 560px) { #charts { grid-template-columns: minmax(0, 1fr); } }
</style>
</head>
<body>
<header><h1>{{title}}</h1>
<button id="reset" aria-keyshortcuts="r" title="Back to the first settings (r)">reset</button>
<button id="theme" aria-keyshortcuts="t" title="Theme: light, dark, as the system (t)"></button></header>
<main>
<section id="side" aria-label="Settings and numbers">
<p>{{lead}}</p>
<form id="controls">
{{controls}}
</form>
<table id="numbers"></table>
<div id="spoken" class="spoken" role="status" aria-live="polite"></div>
</section>
<section id="charts" aria-label="Charts"></section>
</main>
<script>
{{helpers}}
const FUNCTIONS = {
  {{functions}},
};
{{script}}
theme("auto");
refresh();
</script>
</body>
</html>
"""

HELPERS = r""""use strict";
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

// A chart to draw in, anew each time: { x: [low, high], y: [low, high], xlabel }; a style is [colour, dash].
function chart(id, title, { x, y, xlabel }) {
  const [left, right, top, bottom] = [50, 430, 10, 500];
  const px = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (right - left);
  const py = (value) => bottom - ((value - y[0]) / (y[1] - y[0])) * (bottom - top);
  let figure = $(id);
  if (!figure) { figure = document.createElement("figure"); figure.id = id; $("charts").append(figure); }
  const caption = document.createElement("figcaption");
  const svg = make("svg", { viewBox: "0 0 440 545", role: "img", "aria-label": title });
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
$("reset").addEventListener("click", commands.r);
$("theme").addEventListener("click", commands.t);
$("controls").addEventListener("input", refresh);
$("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  const command = commands[event.key.toLowerCase()];
  if (!command || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  command();
});
"""
