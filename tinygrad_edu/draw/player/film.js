// What a film shows at a snapshot: a picture, the loss up to there, and histograms. `film` is the page's data.
const COLOURS = ["value_wire", "gradient_wire", "parameter", "output", "highlight", "input"];  // of classes and lines
const MARKS = [  // of classes, around (0, 0)
  "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z", "M-.9 -.9H.9V.9H-.9Z", "M0 -1.1L1.1 .9H-1.1Z", "M0 -1.25L1.25 0L0 1.25L-1.25 0Z",
  "M-1 -.35H-.35V-1H.35V-.35H1V.35H.35V1H-.35V.35H-1Z", "M0 1.1L1.1 -.9H-1.1Z",
];
const make = (name, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};
const caption = (id, title, ...notes) => {
  const found = $(id).querySelector("figcaption");
  found.replaceChildren(title, ...notes.map((note) => {
    const span = document.createElement("span");
    span.append(...[note].flat());
    return span;
  }));
};
const key = (d, colour, kind, viewBox) => {
  const svg = make("svg", { class: kind, viewBox, "aria-hidden": "true" });
  svg.append(make("path", kind === "dot" ? { d, style: `fill: var(--${colour})` } : { d, class: "line", style: `stroke: var(--${colour})` }));
  return svg;
};
const short = (x) => {  // at most six letters or so: the room beside an axis
  const number = +x.toPrecision(3), text = String(number);
  return (text.length > 6 ? number.toExponential() : text).replace("e+", "e").replaceAll("-", "−");
};
const power = (n) => "10" + String(n).replace("-", "−").replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");

// Round numbers from low to high: some five; of a logarithmic axis 1, 2 and 5 times the powers of ten, or only 1 times.
function ticks(low, high, log = false) {
  const found = [], range = high - low || 1;
  if (log) {
    for (let n = Math.floor(low); n <= high; n++) for (const digit of range < 2 ? [1, 2, 5] : [1]) found.push(digit * 10 ** n);
    const inside = found.filter((x) => Math.log10(x) >= low && Math.log10(x) <= high);
    return inside.filter((_, i) => i % Math.ceil(inside.length / 6) === 0);
  }
  const rough = 10 ** Math.floor(Math.log10(range / 4)), unit = range / 4 / rough, step = rough * (unit >= 5 ? 5 : unit >= 2 ? 2 : 1);
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) found.push(+(i * step).toPrecision(6));
  return found;
}

let bytes = null;  // of all snapshots, one after the other
const bytesOf = (k) => bytes.subarray((k * bytes.length) / (last + 1), ((k + 1) * bytes.length) / (last + 1));

// The picture: the plane and its points.
const hex = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

function region({ columns, rows, classes, points }) {
  const canvas = addCanvas(1200, Math.round((1200 * (rows - 1)) / (columns - 1)));
  const small = document.createElement("canvas"), levels = Math.floor(256 / classes.length), unit = 1200 / (columns - 1);
  [small.width, small.height] = [columns, rows];
  caption("picture", "What the model answers", ...classes.map((name, i) => [key(MARKS[i], COLOURS[i], "dot", "-1.5 -1.5 3 3"), name]));
  return (found) => {
    const context = canvas.getContext("2d"), paper = rgb(hex("paper")), inks = classes.map((_, i) => rgb(hex(COLOURS[i])));
    const image = new ImageData(columns, rows), classOf = (i) => Math.floor(found[i] / levels);
    for (let i = 0; i < columns * rows; i++) {
      const share = 0.16 + (0.5 * (found[i] % levels)) / (levels - 1), ink = inks[classOf(i)];
      for (let j = 0; j < 3; j++) image.data[4 * i + j] = paper[j] + (ink[j] - paper[j]) * share;
      image.data[4 * i + 3] = 255;
    }
    small.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(small, -unit / 2, -unit / 2, columns * unit, rows * unit);
    border(context, found, columns, rows, levels, unit);
    points.forEach(([x, y, label], i) => {
      const wrong = found[columns * rows + i] !== label, size = points.length > 200 ? 9 : 13;
      context.setTransform(size, 0, 0, size, x * canvas.width, y * canvas.height);
      const mark = new Path2D(MARKS[label]);
      context.fillStyle = hex(COLOURS[label]);
      context.strokeStyle = hex(wrong ? "text" : "paper");
      context.lineWidth = wrong ? 0.5 : 0.15;
      context.stroke(mark);
      context.fill(mark);
      context.setTransform(1, 0, 0, 1, 0, 0);
    });
  };
}

// The line between the classes, cell by cell: it crosses a side where both classes are equally likely.
function border(context, found, columns, rows, levels, unit) {
  context.beginPath();
  for (let y = 0; y + 1 < rows; y++) for (let x = 0; x + 1 < columns; x++) {
    const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]], crossed = [];
    corners.forEach(([x0, y0], i) => {
      const [x1, y1] = corners[(i + 1) % 4], a = found[y0 * columns + x0], b = found[y1 * columns + x1];
      if (Math.floor(a / levels) === Math.floor(b / levels)) return;
      const t = ((a % levels) + 0.5) / ((a % levels) + (b % levels) + 1);
      crossed.push([(x0 + t * (x1 - x0)) * unit, (y0 + t * (y1 - y0)) * unit]);
    });
    const centre = [(x + 0.5) * unit, (y + 0.5) * unit], ends = crossed.length === 2 ? [crossed[1]] : [centre];
    for (const point of crossed.length === 2 ? [crossed[0]] : crossed) { context.moveTo(...point); context.lineTo(...ends[0]); }
  }
  context.strokeStyle = hex("text");
  context.lineWidth = 3;
  context.stroke();
}

// The picture: weights as images.
function images({ count, height, width, scales, name }) {
  const across = Math.ceil(Math.sqrt(count)), tile = Math.floor(1200 / across), high = Math.round((tile * height) / width);
  const canvas = addCanvas(tile * across, high * Math.ceil(count / across)), small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  return (found, k) => {
    caption("picture", name, scales[k] ? `from −${short(scales[k])} to ${short(scales[k])}` : "all are 0");
    const context = canvas.getContext("2d"), scheme = getComputedStyle(document.documentElement).colorScheme;
    const colours = film.heat[scheme === "dark" ? "dark" : "light"].map(rgb), image = new ImageData(width, height);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    for (let unit = 0; unit < count; unit++) {
      for (let i = 0; i < width * height; i++) {
        image.data.set(colours[found[unit * width * height + i]], 4 * i);
        image.data[4 * i + 3] = 255;
      }
      small.getContext("2d").putImageData(image, 0, 0);
      context.drawImage(small, (unit % across) * tile + 3, Math.floor(unit / across) * high + 3, tile - 6, high - 6);
    }
  };
}

function addCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.setAttribute("role", "img");
  $("picture").append(canvas);
  return canvas;
}

// A row of bars for each layer, all over one axis.
function histograms(id, title, note, { names, low, high, bins, ticks }, colour) {
  const row = 46, top = 4, left = 22, right = 358, bottom = top + row * names.length;
  const svg = make("svg", { viewBox: `0 0 380 ${bottom + 22}`, role: "img", "aria-label": title });
  const x = (value) => left + ((value - low) / (high - low || 1)) * (right - left);
  for (const [value, text] of ticks) {
    svg.append(make("path", { class: "grid", d: `M${x(value)} ${top}V${bottom}` }));
    svg.append(make("text", { x: x(value), y: bottom + 15, "text-anchor": "middle" }, text));
  }
  const paths = names.map((name, i) => {
    const path = make("path", { style: `fill: var(--${colour})` });
    svg.append(path, make("text", { x: 2, y: top + row * i + 12 }, name));
    return path;
  });
  const zeros = names.map((_, i) => svg.appendChild(make("text", { x: 378, y: top + row * i + 12, "text-anchor": "end" })));
  caption(id, title, note);
  $(id).append(svg);
  return (found) => paths.forEach((path, i) => {
    const heights = found.subarray(i * (bins + 1), (i + 1) * (bins + 1)), base = top + row * (i + 1) - 1;
    const d = [...heights.subarray(0, bins)].map((h, j) => `L${x(low + ((high - low) * j) / bins).toFixed(1)} ${(base - h / 8).toFixed(1)}h${((right - left) / bins).toFixed(2)}`);
    path.setAttribute("d", `M${left} ${base}${d.join("")}L${right} ${base}Z`);
    zeros[i].textContent = heights[bins] > 100 ? "not finite" : heights[bins] ? `${heights[bins]}% are 0` : "";
  });
}

// The loss, and a mark at the snapshot; a click or a drag goes to the nearest one.
function losses({ lines, epochs, log }) {
  const [left, right, top, bottom] = [46, 364, 8, 168], most = epochs[epochs.length - 1] || 1;
  const f = log ? Math.log10 : (y) => y, all = lines.flatMap(([, ys]) => ys).filter((y) => y !== null).map(f);
  const low = log ? Math.min(...all) : Math.min(0, ...all), high = Math.max(...all);
  const px = (x) => left + (x / most) * (right - left), py = (y) => bottom - ((f(y) - low) / (high - low || 1)) * (bottom - top);
  const svg = make("svg", { viewBox: "0 0 380 190", role: "img" });
  for (const value of ticks(low, high, log)) {
    svg.append(make("path", { class: "grid", d: `M${left} ${py(value)}H${right}` }));
    svg.append(make("text", { x: left - 6, y: py(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const x of ticks(0, most).filter(Number.isInteger)) svg.append(make("text", { x: px(x), y: bottom + 18, "text-anchor": "middle" }, String(x)));
  const keys = lines.map(([label, ys], i) => {
    let d = "", pen = "M";
    ys.forEach((y, j) => {
      if (y === null) return void (pen = "M");
      d += `${pen}${px(epochs[j]).toFixed(1)} ${py(y).toFixed(1)}`;
      pen = "L";
    });
    svg.append(make("path", { class: "line", d, style: `stroke: var(--${COLOURS[i]})`, "stroke-dasharray": ["", "7 3", "2 3"][i] }));
    return [key("M0 5H24", COLOURS[i], "key", "0 0 24 10"), label];
  });
  keys.forEach(([svg_], i) => svg_.firstChild.setAttribute("stroke-dasharray", ["", "7 3", "2 3"][i]));
  caption("loss", log ? "Loss, on a logarithmic scale" : "Loss", ...keys);
  const mark = svg.appendChild(make("path", { class: "mark" }));
  const dots = lines.map((_, i) => svg.appendChild(make("circle", { r: 4.5, style: `fill: var(--${COLOURS[i]})` })));
  const reach = (event) => {
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * 380;
    const away = film.epochs.map((epoch) => Math.abs(px(epoch) - x));
    go(away.indexOf(Math.min(...away)));
  };
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); reach(event); });
  svg.addEventListener("pointermove", (event) => { if (event.buttons) reach(event); });
  $("loss").append(svg);
  return (k) => {
    const at = epochs.indexOf(film.epochs[k]);
    mark.setAttribute("d", `M${px(epochs[at])} ${top}V${bottom}`);
    lines.forEach(([, ys], i) => {
      dots[i].toggleAttribute("hidden", ys[at] === null);
      dots[i].setAttribute("cx", px(epochs[at]));
      dots[i].setAttribute("cy", ys[at] === null ? -20 : py(ys[at]));
    });
    svg.setAttribute("aria-label", `Loss over the epochs; ${film.words[k]}`);
  };
}

const parts = {};
function draw(k) {
  const found = bytesOf(k), split = found.length - film.gradients.bytes;
  $("place").textContent = `epoch ${film.epochs[k]} of ${film.epochs[last]}`;
  $("equation").textContent = film.words[k];
  parts.picture(found.subarray(0, split), k);
  parts.loss(k);
  parts.gradients(found.subarray(split));
  $("picture").querySelector("canvas, svg[role]")?.setAttribute("aria-label", `${film.kinds[film.kind]}; ${film.words[k]}`);
  say(film.words[k], film.words[k]);
}

async function begin() {
  theme(document.documentElement.dataset.theme);
  if (!window.DecompressionStream) return void ($("note").textContent = "This browser is too old for films: use one of 2023 or later.");
  bytes = new Uint8Array(await unpack(film.packed).arrayBuffer());
  for (let i = bytes.length / (last + 1); i < bytes.length; i++) bytes[i] += bytes[i - bytes.length / (last + 1)];
  film.gradients.ticks = ticks(film.gradients.low, film.gradients.high).filter(Number.isInteger).map((n) => [n, power(n)]);
  if (film.weights) film.weights.ticks = ticks(film.weights.low, film.weights.high).map((x) => [x, short(x)]);
  parts.picture = film.region ? region(film.region) : film.images ? images(film.images)
    : histograms("picture", "The weights of each layer", "how many have which value", film.weights, "value_wire");
  parts.loss = losses(film.losses);
  parts.gradients = histograms("gradients", "Gradients of each layer", "how many have which size", film.gradients, "gradient_wire");
  $("note").textContent = film.note;
  listen({ ...playing, theme: () => { nextTheme(); show(state.step); } }, playingKeys);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(state.step));
  let kept = null;  // the theme, while all is drawn for white paper
  addEventListener("beforeprint", () => { kept ??= document.documentElement.dataset.theme; theme("light"); show(state.step); });
  addEventListener("afterprint", () => { theme(kept ?? "auto"); kept = null; show(state.step); });
  show(+location.hash.slice(1) || 0);  // page.html#7 begins at snapshot 7
}
begin();
