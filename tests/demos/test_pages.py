"""The pages with sliders: what they show is what the library computes."""

import html
import json
import re

import numpy as np
import pytest
from chromium import needs_chromium, print_page, run
from demo_runs import import_demo

from tinygrad_edu import grad

MOVE = """
const moved = [];
for (const settings of %s) {
  for (const [id, value] of Object.entries(settings)) {
    const input = $(id);
    input[input.type === "checkbox" ? "checked" : "value"] = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  moved.push(%s);
}
return moved;
"""
TABLE = """[...$("numbers").tBodies[0].rows].map((row) => [
  row.cells[0].textContent, [...row.querySelectorAll("data")].map((data) => [data.textContent, data.value])])"""
LESSONS = ("neuron", "activations", "learning_rate")
READY = pytest.mark.parametrize("name", LESSONS)


def written(name, folder):
    """The page of a lesson."""
    demo, path = import_demo(name), folder / "new" / "page.html"
    demo.sliders(path)
    return demo, path.read_text(encoding="utf-8")


def shown(page, settings, folder):
    """For each of the settings {control: value} the table: {label: numbers}."""
    found = run(page, MOVE % (json.dumps(settings), TABLE), folder)
    for label, numbers in (row for table in found for row in table):
        for text, value in numbers:
            read = float({"not a number": "nan"}.get(text, text.replace("−", "-").replace("∞", "inf")))
            assert read == pytest.approx(float(value), rel=6e-4, nan_ok=True), label  # four digits of it
    return [{label: [float(value) for _, value in numbers] for label, numbers in table} for table in found]


@needs_chromium
def test_the_neuron(tmp_path):
    demo, page = written("neuron", tmp_path)
    rng = np.random.default_rng(0)
    names = ("activation", "x", "w", "b", "y", "lr")
    settings = [dict(zip(names, example, strict=True)) for example in demo.LEARNERS.values()]
    for activation in demo.ACTIVATIONS:
        settings.append(dict(zip(names, (activation, 2, 0, 0, -1, 1), strict=True)))  # at the kink
        for _ in range(5):
            x, w, b, y, lr = (rng.uniform([-5, -3, -3, -1, 0], [5, 3, 3, 2, 1]).round(2) + 0).tolist()
            settings.append({"activation": activation, "x": x, "w": w, "b": b, "y": y, "lr": lr})
    for setting, table in zip(settings, shown(page, settings, tmp_path), strict=True):
        n, after = demo.step(**setting)
        again = demo.learner(setting["activation"], setting["x"], after, setting["b"], setting["y"])
        toA, toZ = n["a"].grad, grad(demo.ACTIVATIONS[setting["activation"]][0])(n["z"].item())
        expected = [n["z"].item(), n["a"].item(), n["L"].item(), toA, toZ, n["w"].grad, n["b"].grad]
        expected += [n["z"].grad * setting["w"], after, again["L"].item()]
        numbers = [number for (number,) in table.values()]
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12), setting


@needs_chromium
def test_the_activations(tmp_path):
    demo, page = written("activations", tmp_path)
    everything = dict.fromkeys(demo.ACTIVATIONS, True)
    settings = [everything | {"z": z, "range": r} for z, r in [(1.5, 6), (0, 1), (-0.33, 2.5), (-6, 10), (4.2, 3)]]
    for setting, table in zip(settings, shown(page, settings, tmp_path), strict=True):
        assert list(table) == list(demo.ACTIVATIONS)
        for name, numbers in table.items():
            value, slope = demo.value_and_slope(name, np.array([setting["z"]], float))
            most = demo.value_and_slope(name, np.linspace(-setting["range"], setting["range"], 401))[1].max()
            assert numbers == pytest.approx([value.item(), slope.item(), most], rel=1e-9, abs=1e-12), (name, setting)
    (table,) = shown(page, [{"sigmoid": False, "Maxout": True}], tmp_path)
    assert list(table) == ["tanh", "ReLU", "GELU", "Maxout"]


@needs_chromium
def test_the_descent(tmp_path):
    demo, page = written("learning_rate", tmp_path)
    settings = [
        {"f": f, "start": start, "lr": lr, "steps": steps}
        for f in demo.FUNCTIONS
        for start, lr, steps in [(-2, 0.02, 20), (3, 0.4, 3), (-1.5, 0.95, 40), (0.5, 0.12, 40), (2.5, 1.2, 12)]
    ]
    for setting, table in zip(settings, shown(page, settings, tmp_path), strict=True):
        f = demo.FUNCTIONS[setting["f"]][0]
        x = demo.descend(f, float(setting["start"]), setting["lr"], setting["steps"])
        with np.errstate(all="ignore"):
            curvature = grad(grad(f))(x[-1])
            expected = [x[1], x[-1], f(x[-1]).item(), grad(f)(x[-1]), curvature, 1 - setting["lr"] * curvature]
        numbers = [number for (number,) in table.values()]
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), setting


VERDICTS = [  # a step multiplies x by 1 - lr · curvature
    ("x²", 0.02, "still on the way"),
    ("x²", 0, "stays where it is"),
    ("x²", 0.4, "almost 0"),
    ("x²", 1, "swings for ever"),
    ("4 x²", 0.25, "swings for ever"),
    ("x⁴/4 − x² + x/4", 0.5, "swings for ever"),
    ("x²", 1.03, "went up"),
]


@needs_chromium
@pytest.mark.parametrize("steps", [20, 21])
def test_the_verdict_on_a_descent(steps, tmp_path):
    settings = [{"f": f, "lr": lr, "steps": steps} for f, lr, _ in VERDICTS]
    script = MOVE % (json.dumps(settings), '$("loss").querySelector("figcaption").textContent')
    found = run(written("learning_rate", tmp_path)[1], script, tmp_path)
    assert all(word in text for (*_, word), text in zip(VERDICTS, found, strict=True)), found


@READY
def test_a_page_needs_nothing_else(name, tmp_path, capsys):
    _, page = written(name, tmp_path)
    assert "page.html" in capsys.readouterr().out
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", page)) == {"http://www.w3.org/2000/svg"}
    assert ":focus-visible { outline: 3px solid var(--value_text)" in page, "3:1, see tests/draw/test_theme.py"
    assert "default-src 'none'" in page and "{{" not in page and len(page) < 30_000


@READY
def test_a_folder_is_no_page(name, tmp_path):
    with pytest.raises(SystemExit, match=r"^error: --html must be a file: cannot write "):
        import_demo(name).main(["--out", str(tmp_path), "--html", str(tmp_path)])


@needs_chromium
@READY
def test_names_keys_and_speech(name, tmp_path):
    found = run(
        written(name, tmp_path)[1],
        """
        const press = (key, more = {}) =>
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
        const controls = [...document.querySelectorAll("button, input, select")];
        const state = () => $("numbers").textContent + $("charts").innerHTML;
        const range = document.querySelector("input[type=range]"), before = state();
        range.stepUp(3); range.dispatchEvent(new Event("input", { bubbles: true }));
        const changed = state() !== before;
        await new Promise((done) => setTimeout(done, 600));
        const spoken = $("spoken").textContent;
        press("r", { ctrlKey: true }); const kept = state() !== before;
        press("r"); const back = state() === before;
        const paper = () => getComputedStyle(document.body).backgroundColor;
        press("t"); const light = paper(); press("t"); const dark = paper();
        return {
          named: controls.every((x) => x.getAttribute("aria-label") || (x.labels?.[0] ?? x).textContent.trim()),
          focus: controls.every((x) => { x.focus(); return document.activeElement === x; }),
          charts: [...document.querySelectorAll("#charts svg[role=img]")].every((x) => x.getAttribute("aria-label")),
          broken: /NaN|undefined|Infinity/.test(before), spoken: /[0-9]/.test(spoken), live: $("spoken").ariaLive,
          wide: document.documentElement.scrollWidth <= innerWidth, high: document.body.scrollHeight <= 720,
          changed, kept, back, light, dark,
        };
        """,
        tmp_path,
        size=(1280, 720),
    )
    assert found == {
        "named": True,
        "focus": True,
        "charts": True,
        "broken": False,
        "spoken": True,
        "live": "polite",
        "wide": True,
        "high": True,
        "changed": True,
        "kept": True,
        "back": True,
        "light": "rgb(255, 255, 255)",
        "dark": "rgb(17, 22, 29)",
    }


@needs_chromium
@pytest.mark.parametrize(("name", "size"), [("activations", (900, 640)), ("neuron", (500, 844))])
def test_controls_and_chart_are_seen_together(name, size, tmp_path):
    found = run(
        written(name, tmp_path)[1],
        """
        const seen = (x) => {
          const box = x.getBoundingClientRect();
          return box.top >= -1 && box.bottom <= innerHeight + 1;
        };
        const page = document.documentElement, [first, second] = document.querySelectorAll("figure svg");
        const covered = first.getBoundingClientRect().bottom > $("controls").getBoundingClientRect().top;
        const beside = first.getBoundingClientRect().left > $("controls").getBoundingClientRect().right;
        const found = [seen(first), !covered || beside, inputs.every(seen), page.scrollWidth <= innerWidth];
        second.scrollIntoView({ block: "start" });
        return [...found, seen(second), inputs.every(seen)];
        """,
        tmp_path,
        size=size,
    )
    assert found == [True] * 6


@needs_chromium
def test_no_page_is_wider_than_its_window(tmp_path):
    pages = [html.escape(written(name, tmp_path)[1]) for name in LESSONS]
    widths = (320, 390, 560, 561, 568, 640, 700, 701, 1000, 1001, 1024)
    frames = [f'<iframe srcdoc="{page}" width="{width}" height="844"></iframe>' for page in pages for width in widths]
    script = """
    await new Promise((done) => addEventListener("load", done));
    performance.clearResourceTimings();  // each frame counts as one
    return [...document.querySelectorAll("iframe")].map((x) => {
      const page = x.contentDocument, few = page.querySelector("input[type=range]").clientWidth < 40;
      return few || page.documentElement.scrollWidth > x.clientWidth ? x.clientWidth : 0;
    });
    """
    assert run(f"<style>iframe {{ border: 0 }}</style>{''.join(frames)}", script, tmp_path) == [0] * len(frames)


@needs_chromium
@pytest.mark.parametrize("name", ["neuron", "learning_rate"])
def test_charts_fill_a_printed_sheet_and_say_what_their_curves_are(name, tmp_path):
    page = written(name, tmp_path)[1]
    low, high, back, keys = run(
        page,
        """
        const send = (name) => dispatchEvent(new Event(name)), charts = () => [...document.querySelectorAll("figure")];
        const shape = () => charts().map((x) => x.querySelector("svg[role]").viewBox.baseVal.height);
        const found = [shape()];
        for (const name of ["beforeprint", "afterprint"]) { send(name); found.push(shape()); }
        const strokes = (x) => [...x.querySelectorAll("path[stroke-width]")]
          .map((path) => path.style.stroke).filter((colour) => !colour.includes("muted"));
        const told = (x) => strokes(x.querySelector("figcaption"));
        return [...found, charts().map((x) => strokes(x.querySelector("svg[role]")).every((y) => told(x).includes(y)))];
        """,
        tmp_path,
        size=(800, 844),
    )
    assert low == back and all(after > 2 * before for before, after in zip(low, high, strict=True))
    assert keys == [True, True]
    pdf = print_page(page, tmp_path)
    assert len(re.findall(rb"/MediaBox", pdf)) == 1
