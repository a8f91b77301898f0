import html
import importlib.util
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import needs_chromium, run
from drawn import f_of_xyz, named, network, three_uses

from tinygrad_edu import Tensor
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture.engines import engine
from tinygrad_edu.draw.picture.svg import xml_text
from tinygrad_edu.draw.player import frames, player
from tinygrad_edu.draw.player.player import lighten
from tinygrad_edu.draw.player.steps import script
from tinygrad_edu.draw.record import record

pytestmark = pytest.mark.skipif(engine() is None, reason="Graphviz is not installed, neither dot nor pygraphviz")

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"quotes' & &amp; <b>",
    '<TD ID="node-t0-value">',
    "{{steps}} \\u003c \\",
    "two\nlines\t\x00",
    "−∂∑🙂 \u2028 \ud800",
    "w" * 500,
]


class Page(HTMLParser):
    """The elements of a page and the text of its script elements."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page.html if hasattr(page, "html") else page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append((self.elements[-1][0] if self.elements else "", data))

    def steps(self):
        i = next(i for i, (tag, found) in enumerate(self.elements) if found.get("id") == "steps")
        assert self.elements[i][0] == "script"
        return json.loads(next(text for tag, text in self.texts if text.startswith('[{"phase"')))


def play(output, **options):
    return player(Graph(record(output)), **options)


def nested():
    """Too large to be read as a whole."""
    h = Tensor(0.5, name="x")
    for i in range(12):
        h = named((h * 1.5).tanh(), f"h{i}")
    return h


def test_the_page_stands_for_itself():
    page = play(network())
    assert len(page.html.encode()) < 200_000
    parsed = Page(page)
    links = [(tag, key, value) for tag, found in parsed.elements for key, value in found.items()
             if key in ("src", "srcset", "data", "action") or key.endswith("href")]  # fmt: skip
    assert links == []
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", page.html)) <= {"http://www.w3.org/2000/svg"}
    assert ":focus-visible { outline: 3px solid var(--value_text)" in page.html, "3:1, see test_theme.py"
    assert "url(" not in page.html and "@import" not in page.html and "default-src 'none'" in page.html
    ids = [found["id"] for _, found in parsed.elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_every_control_has_a_name_and_the_equation_is_spoken():
    parsed = Page(play(f_of_xyz()))
    controls = {found["id"]: found for tag, found in parsed.elements if tag in ("button", "select", "input")}
    names = {"first", "previous", "play", "next", "pass", "last", "slider", "speed", "out", "camera", "in", "theme"}
    assert set(controls) == names
    for name in names - {"play", "camera", "theme"}:  # these have a text, or get their name from the script
        assert controls[name]["aria-label"]
    assert any(found.get("aria-live") == "polite" for _, found in parsed.elements)
    svg = next(found for tag, found in parsed.elements if tag == "svg" and found.get("id") == "picture")
    assert svg["role"] == "img" and svg["aria-labelledby"].startswith("picture-title")


def test_the_page_has_the_steps_of_the_graph():
    graph = Graph(record(f_of_xyz()))
    steps = Page(player(graph)).steps()
    assert [step["equation"] for step in steps] == [step.equation for step in script(graph).steps]
    assert [step["place"] for step in steps[5:8]] == ["forward 5 of 5", "backward 1 of 5", "backward 2 of 5"]
    assert steps[0]["place"] == "start"


def test_title_theme_path_and_notebook(tmp_path):
    graph = Graph(record(f_of_xyz()), theme="dark", title="lesson 1")
    page = graph.player(tmp_path / "new" / "a.html")
    assert page.title == "lesson 1" and page.path.read_text(encoding="utf-8") == page.html
    assert '<html lang="en" data-theme="dark">' in page.html and "a.html" in repr(page)
    assert graph.player(title="lesson 2").title == "lesson 2" and graph.player().path is None
    assert play(f_of_xyz()).title == "f: forward and backward"
    _, (tag, found), _ = Page(page._repr_html_()).elements
    assert tag == "iframe" and found["srcdoc"] == page.html and found["title"] == "lesson 1"


def test_in_a_notebook_the_player_follows_the_theme_and_has_a_picture_for_paper():
    page = play(f_of_xyz())
    shown, sizes = page._repr_mimebundle_()
    assert list(shown) == ["text/html", "image/png", "application/pdf", "text/plain"] and list(sizes) == ["image/png"]
    _, (_, found), _ = Page(shown["text/html"]).elements
    assert found["srcdoc"] == page.html.replace('data-theme="light"', 'data-theme="auto"', 1) != page.html
    assert "width:100%" in found["style"] and "box-sizing:border-box" in found["style"]


@needs_chromium
def test_the_note_of_a_notebook_is_hidden_beside_the_frame_and_nothing_else_is(tmp_path):
    shown = play(f_of_xyz())._repr_html_()
    wrapped = re.sub(r"<iframe.*?</iframe>", r"<div>\g<0></div>", shown, flags=re.S)  # as marimo does it
    without = re.sub(r"<style>.*?</style>|<iframe.*?</iframe>", "", shown, flags=re.S)
    pages = {"usual": shown, "marimo": wrapped, "filtered": without, "among others": f"<div>{shown}</div><p>more</p>"}
    frames = "".join(f'<iframe title="{name}" srcdoc="{html.escape(page)}"></iframe>' for name, page in pages.items())
    found = run(
        f"<style></style>{frames}",
        """
        await new Promise((done) => setTimeout(done, 500));
        const seen = (frame) => [...frame.contentDocument.querySelectorAll("p")].filter((p) => p.offsetHeight).length;
        return Object.fromEntries([...document.querySelectorAll("iframe")].map((frame) => [frame.title, seen(frame)]));
        """,
        tmp_path,
    )
    assert found == {"usual": 0, "marimo": 0, "filtered": 1, "among others": 1}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    usual = Page(play(named(Tensor(2.0, name="x") * 3.0, "f"))).elements
    page = play(named(Tensor(2.0, name=name) * 3.0, name), title=name)
    assert [tag for tag, _ in Page(page).elements] == [tag for tag, _ in usual]
    assert len(Page(page).steps()) == 5
    assert not any(key.startswith("on") for _, found in Page(page).elements for key in found)


def test_hostile_names_in_slides(tmp_path):
    for i, name in enumerate(HOSTILE):
        graph = Graph(record(named(Tensor(2.0, name=name) * 3.0, name)), title=name)
        for path in graph.frames(tmp_path / str(i) / "{}.svg"):
            assert ET.parse(path).getroot()[0].text.startswith(xml_text(name))


@pytest.mark.parametrize("program", ["dot", "pygraphviz"])
def test_a_step_finds_its_parts_by_the_ids_of_the_graph(program, monkeypatch):
    if program == "pygraphviz":
        pytest.importorskip("pygraphviz")
        monkeypatch.setenv("PATH", "")
    graph = Graph(record(network()), depth=1)
    page = Page(player(graph))
    found = {found["id"].removeprefix("picture-"): found for _, found in page.elements if "id" in found}
    times = script(graph)
    for item in graph.plan.items:
        assert {int(found[name]["data-from"]) for name in (item.id, f"{item.id}-value")} == {times.values[item.id]}
        for leaf in item.leaves if item.folded else []:
            if leaf.kind == "parameter":
                assert int(found[f"{item.id}-norm-{leaf.id}"]["data-from"]) == times.cells[f"{item.id}-norm-{leaf.id}"]
    for name, events in times.gradients.items():
        assert int(found[f"{name}-gradient"]["data-from"]) == events[-1][0]
    active = {part for step in page.steps() for part in step["active"]} - found.keys()
    assert all(part.startswith("gate-") or part.endswith("-out") for part in active), "where gates are drawn"


@needs_chromium
def test_hostile_names_in_a_browser(tmp_path):
    x = Tensor(2.0, name=HOSTILE[0])
    for name in HOSTILE:
        x = named(x + 1.0, name)
    shown = run(play(x, title=HOSTILE[1]).html, "show(last); return [document.title, steps.length, last]", tmp_path)
    assert shown == [HOSTILE[1], 19, 18]


STATE = """
const state_ = () =>
  [svg.outerHTML, $("words").innerHTML, $("place").textContent, $("count").textContent, slider.value];
"""


@needs_chromium
@pytest.mark.parametrize("graph", [three_uses, nested])
def test_forward_then_back_restores_the_page_exactly(graph, tmp_path):
    differ = run(
        play(graph()).html,
        STATE
        + """
        const seen = [state_()], differ = [];
        while (state.step < last) { commands.next(); seen.push(state_()); }
        const check = () => { if (state_().join() !== seen[state.step].join()) differ.push(state.step); };
        while (state.step > 0) { commands.previous(); check(); }
        for (const k of [3, last, 1, last - 1, 2, 0]) { go(k); check(); }
        return [differ, seen.length, new Set(seen.map((x) => x[0])).size];
        """,
        tmp_path,
    )
    assert differ[0] == [] and differ[1] == differ[2] > 4


@needs_chromium
def test_every_key(tmp_path):
    steps = run(
        play(f_of_xyz()).html,
        """
        const press = (key, on = document.body, more = {}) =>
          on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
        const found = {}, note = (name, value) => { found[name] = value; };
        const at = (start, key) => { go(start); press(key); return state.step; };
        note("ArrowRight", at(3, "ArrowRight")); note("ArrowDown", at(3, "ArrowDown"));
        note("ArrowLeft", at(3, "ArrowLeft")); note("ArrowUp", at(3, "ArrowUp"));
        note("Home", at(3, "Home")); note("End", at(3, "End"));
        note("first", at(0, "ArrowLeft")); note("last", at(10, "ArrowRight"));
        note("PageDown", [at(0, "PageDown"), at(2, "PageDown"), at(5, "PageDown"), at(10, "PageDown")]);
        note("PageUp", [at(10, "PageUp"), at(6, "PageUp"), at(4, "PageUp"), at(0, "PageUp")]);
        const thrice = (key, value) => [1, 2, 3].map(() => { press(key); return value(); });
        note("t", thrice("t", () => document.documentElement.dataset.theme));
        note("s", thrice("s", () => $("speed").selectedOptions[0].text));
        const width_ = () => +svg.getAttribute("viewBox").split(" ")[2], before = width_();
        press("+"); note("+", width_() < before); press("-"); note("-", Math.abs(width_() - before) < 0.1);
        press("z"); note("z", [state.camera, $("camera").textContent]); press("Z"); note("Z", state.camera);
        const x = state.view[0]; press("ArrowRight", document.body, { shiftKey: true });
        note("shift", [state.camera, state.view[0] > x]);
        press("+"); note("by hand", [state.camera, $("camera").textContent, width_() < before]);
        press("ArrowRight"); note("stays", [state.camera, state.view[0] > x]); press("0"); note("0", state.camera);
        go(0); press(" "); note("space", state.timer !== null); press(" "); note("space again", state.timer === null);
        press(" ", $("next")); note("space on a button", state.timer === null);
        go(3); press("ArrowRight", $("speed")); note("arrow in the list of speeds", state.step);
        press("ArrowRight", slider); note("arrow on the slider", state.step);
        press("ArrowRight", document.body, { ctrlKey: true }); note("with control", state.step);
        return found;
        """,
        tmp_path,
    )
    assert steps == {
        "ArrowRight": 4,
        "ArrowDown": 4,
        "ArrowLeft": 2,
        "ArrowUp": 2,
        "Home": 0,
        "End": 10,
        "first": 0,
        "last": 10,
        "PageDown": [5, 5, 10, 10],
        "PageUp": [6, 1, 1, 0],
        "t": ["dark", "auto", "light"],
        "s": ["fast", "slow", "normal"],
        "+": True,
        "-": True,
        "z": ["follow", "fit"],
        "shift": ["hand", True],
        "by hand": ["hand", "fit", True],
        "stays": ["hand", True],
        "0": "whole",
        "Z": "whole",
        "space": True,
        "space again": True,
        "space on a button": True,
        "arrow in the list of speeds": 3,
        "arrow on the slider": 4,
        "with control": 4,
    }


@needs_chromium
def test_every_control(tmp_path):
    found = run(
        play(f_of_xyz()).html,
        """
        const found = {}, at = (start, id) => { go(start); $(id).click(); return state.step; };
        for (const id of ["first", "previous", "next", "pass", "last"]) found[id] = at(3, id);
        slider.value = 7; slider.dispatchEvent(new Event("input")); found.slider = state.step;
        found.value = slider.getAttribute("aria-valuetext");
        found.spoken = $("spoken").textContent;
        $("theme").click(); found.theme = [svg.dataset.theme, $("theme").getAttribute("aria-label")];
        found.paper = getComputedStyle(document.body).backgroundColor;
        $("camera").click(); found.camera = $("camera").getAttribute("aria-label");
        const width_ = () => +svg.getAttribute("viewBox").split(" ")[2], before = width_();
        $("out").click(); found.out = width_() > before; $("in").click(); $("in").click(); found.in = width_() < before;
        const focusable = [...document.querySelectorAll("button, select, input")];
        found.named = focusable.every((x) => x.getAttribute("aria-label") || x.textContent.trim());
        found.focus = focusable.every((x) => { x.focus(); return document.activeElement === x; });
        return found;
        """,
        tmp_path,
    )
    assert found == {
        "first": 0,
        "previous": 2,
        "next": 4,
        "pass": 5,
        "last": 10,
        "slider": 7,
        "named": True,
        "focus": True,
        "value": "backward 2 of 5: ∂f/∂q += z · ∂f/∂f = −4 · 1 = −4",
        "spoken": "backward 2 of 5: ∂f/∂q += z · ∂f/∂f = −4 · 1 = −4. The gate × swaps and scales.",
        "theme": ["dark", "Theme: dark"],
        "paper": "rgb(17, 22, 29)",
        "camera": "Show the whole picture",
        "out": True,
        "in": True,
    }


@needs_chromium
def test_the_picture_is_moved_by_hand_and_the_page_still_scrolls(tmp_path):
    found = run(
        play(f_of_xyz()).html,
        """
        const stage = $("stage"), up = { bubbles: true, cancelable: true }, scale = () => hand.scaleOf(state.view);
        const send = (type, clientX, clientY, pointerId = 1) =>
          stage.dispatchEvent(new PointerEvent(type, { clientX, clientY, pointerId, ...up }));
        const wheel = (more) => !stage.dispatchEvent(new WheelEvent("wheel", { ...more, ...up }));
        stage.setPointerCapture = (pointerId) =>  // what a finger came down on loses it
          svg.querySelector("polygon").dispatchEvent(new PointerEvent("lostpointercapture", { pointerId, ...up }));
        const [x, y] = state.view, before = scale(), found = [wheel({ deltaY: 50 })];
        send("pointerdown", 300, 300); send("pointermove", 330, 290);
        send("pointermove", 350, 280); send("pointerup", 350, 280);
        found.push(Math.round((x - state.view[0]) * scale()), Math.round((y - state.view[1]) * scale()));
        found.push(wheel({ deltaY: -20, ctrlKey: true }), scale() > before, stage.className, wheel({ deltaY: 50 }));
        send("pointerdown", 300, 300); send("pointerdown", 400, 300, 2);
        const start = scale(); send("pointermove", 450, 300, 2); found.push(+(scale() / start).toFixed(2));
        return found;
        """,
        tmp_path,
    )
    assert found == [False, 50, -20, True, True, "zoomed", True, 1.5]


@needs_chromium
def test_paper_shows_all_of_the_last_step_where_none_was_taken(tmp_path):
    found = run(
        play(f_of_xyz()).html,
        """
        const found = [], send = (name) => dispatchEvent(new Event(name));
        const pale = () => svg.querySelectorAll("[data-off]").length, home = svg.getAttribute("viewBox");
        for (const step of [0, 3]) {
          go(step); hand.zoom(2); send("beforeprint");
          found.push(state.step, pale() === 0, svg.getAttribute("viewBox") === [left, top_, width, height].join(" "));
          send("afterprint"); found.push(state.step);
        }
        return found;
        """,
        tmp_path,
    )
    assert found == [10, True, True, 0, 3, False, True, 3]


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_a_mode_plays_its_own_pass(mode, tmp_path):
    graph = Graph(record(f_of_xyz()), mode=mode)
    page = graph.player()
    steps = Page(page).steps()
    assert page.title == f"f: {mode}" and [step["phase"] for step in steps] == ["start", *[mode] * 5]
    *_, last = graph.frames(tmp_path / "{}.svg")
    assert len(list(tmp_path.iterdir())) == 6 and ('stroke="#d55e00"' in last.read_text()) == (mode == "backward")
    shown, _ = page._repr_mimebundle_()
    assert shown["image/png"] == graph._repr_mimebundle_()[0]["image/png"]


@needs_chromium
@pytest.mark.parametrize("calm", [True, False])
def test_play_runs_to_the_end_and_begins_again(calm, tmp_path):
    found = run(
        play(f_of_xyz()).html,
        """
        const wait = (time) => new Promise((done) => setTimeout(done, time));
        const found = [];
        $("speed").selectedIndex = 2; $("play").click(); found.push($("play").textContent);
        await wait(2000); found.push(state.step > 1 && state.step < last);
        await wait(9000); found.push(state.step, $("play").textContent);
        $("play").click(); found.push(state.step); await wait(1000);
        $("next").click(); const paused = state.step; await wait(3000); found.push(state.step === paused);
        return [...found, svg.getAnimations({ subtree: true }).length === 0 || !calm.matches];
        """,
        tmp_path,
        calm=calm,
    )
    assert found == ["pause", True, 10, "play", 0, True, True]


@needs_chromium
@pytest.mark.parametrize("size", [(1600, 900), (500, 850)])
def test_the_step_is_in_view_and_the_page_does_not_overflow(size, tmp_path):
    found = run(
        play(nested()).html,
        """
        const outside = [];
        for (let k = 0; k <= last; k++) {
          go(k);
          const shown = [$("picture-" + steps[k || 1].active[0]), $("stage")];
          const [part, room] = shown.map((x) => x.getBoundingClientRect());
          if (part.left < room.left - 9 || part.right > room.right + 9) outside.push(k);
          if (part.top < room.top - 9 || part.bottom > room.bottom + 9) outside.push(k);
        }
        const page = document.documentElement, views = new Set();
        for (let k = 0; k <= last; k++) { go(k); views.add(svg.getAttribute("viewBox")); }
        return [outside, page.scrollWidth <= innerWidth, page.scrollHeight <= innerHeight, views.size > 1];
        """,
        tmp_path,
        size=size,
    )
    assert found == [[], True, True, True]


@needs_chromium
def test_what_is_there_in_a_step_is_visible_and_nothing_else(tmp_path):
    found = run(
        play(three_uses()).html,
        """
        const seen = (id) => [...$("picture-" + id).querySelectorAll("text")]
          .filter((x) => getComputedStyle(x).visibility === "visible").map((x) => x.textContent.trim());
        return [0, 1, 4, 6, 7, 8].map((k) => { go(k); return seen("node-t0"); });
        """,
        tmp_path,
    )
    head = ["g", "input", "value"]
    assert found == [
        [*head, "∂h/∂g"],
        *[[*head, "3", "∂h/∂g"]] * 2,
        [*head, "3", "∂h/∂g", "1"],
        [*head, "3", "∂h/∂g", "4"],
        [*head, "3", "∂h/∂g", "7", found[-1][-1]],
    ]
    assert found[-1][-1].startswith("Σ")


def visible(path):
    """The texts that are neither hidden themselves nor in a group that is."""
    texts, waiting = [], [ET.parse(path).getroot()]
    while waiting:
        element = waiting.pop()
        if not element.get("visibility"):
            waiting += reversed(element)
            texts += [element.text] if element.tag == "{http://www.w3.org/2000/svg}text" else []
    return texts


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_frames(theme, tmp_path):
    graph = Graph(record(f_of_xyz()), theme=theme)
    paths = graph.frames(str(tmp_path / "slides" / "step_{:02d}.svg"))
    steps = script(graph).steps
    assert [path.name for path in paths] == [f"step_{i:02d}.svg" for i in range(11)]
    assert [visible(path)[-1] for path in paths] == [step.equation for step in steps]
    assert not {"−2", "5", "3"} & set(visible(paths[0])) and {"−2", "5", "3"} <= set(visible(paths[-1]))
    assert visible(paths[5]).count("−4") == 1 and visible(paths[-1]).count("−4") == 4
    borders = [x for x in ET.parse(paths[0]).iter() if "stroke-rule" in x.get("class", "")]
    assert len(borders) >= 5 and not any(x.get("visibility") for x in borders)
    assert len({ET.parse(path).getroot().get("viewBox") for path in paths}) == 1
    assert not re.search("data-(from|until|part)", paths[3].read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "start"), [("{:02d}.png", b"\x89PNG"), ("{}.PDF", b"%PDF"), ("{}.svg", b"<svg")])
def test_frames_are_what_their_ending_says(name, start, tmp_path):
    paths = Graph(record(-Tensor(2.0, name="x"))).frames(tmp_path / name)
    assert len(paths) == 5 and all(path.read_bytes().startswith(start) for path in paths)


@pytest.mark.parametrize(("pattern", "what"), [("step_{}.jpg", "ends in .jpg"), ("step_{}", "has no ending")])
def test_frames_name_the_endings_they_know(pattern, what, tmp_path):
    with pytest.raises(ValueError, match=rf"frames: .*step_0.* {what}.*\.svg.*\.png.*\.pdf"):
        frames(Graph(record(f_of_xyz())), tmp_path / pattern)
    with pytest.raises(ValueError, match="frames: size is 'A3'; it must be"):
        Graph(record(f_of_xyz())).frames(tmp_path / "{}.svg", size="A3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pattern", ["step.svg", "step_{}_{}.svg", "step_{name}.svg", "step_{.svg", "step_{:q}.svg"])
def test_frames_need_a_place_for_the_number(pattern, tmp_path):
    with pytest.raises(ValueError, match=r"frames: .*step_\{:02d\}\.svg"):
        frames(Graph(record(f_of_xyz())), tmp_path / pattern)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("size", "sums"), [(2, ["2", "−3"]), (20, ["1 of 2 contributions"])])
def test_a_growing_gradient_of_a_tensor(size, sums, tmp_path):
    v = Tensor([2.0, -3.0] * (size // 2), name="v")
    graph = Graph(record(named((v * v).sum(), "f")))
    paths = graph.frames(tmp_path / "{}.svg")
    first, second = (stop for stop, _ in script(graph).gradients["node-t0"])
    before, during, after = (Counter(visible(paths[i])) for i in (first - 1, first, second))
    appeared = during - before
    assert all(text in appeared for text in sums)
    assert not any(text.startswith("Σ of") for text in during) and any(text.startswith("Σ of") for text in after)
    assert "1 of 2 contributions" not in after
    assert size > 2 or {"4", "−6"} <= set(after)


def test_what_a_hook_makes_of_a_gradient_is_hidden_until_it_is_there(tmp_path):
    x = Tensor(2.0, name="x")
    x.register_hook(lambda gradient: gradient * 10)
    paths = Graph(record(named(x * 3.0, "f"))).frames(tmp_path / "{}.svg")
    assert ["3, hook → 30" in visible(path) for path in paths] == [False] * (len(paths) - 1) + [True]


def test_what_stands_in_grad_is_hidden_until_the_right_gradient_is_there(tmp_path):
    x = Tensor(2.0, name="x")
    y = named(x * 3.0, "y")
    x.grad = -3.0
    paths = Graph(record(y), gradients="grad").frames(tmp_path / "{}.svg")
    assert ["wrong sign" in "".join(visible(path)) for path in paths] == [False] * (len(paths) - 1) + [True]


def gallery():
    """The pictures of demos/draw.py."""
    path = Path(__file__).parents[3] / "demos" / "draw.py"
    spec = importlib.util.spec_from_file_location("gallery", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PICTURES


@pytest.mark.parametrize("name", gallery())
def test_the_pages_of_the_gallery_are_small(name):
    page = gallery()[name]().player()
    assert len(page.html.encode()) < 200_000
    parsed = Page(page).elements
    coloured = [found for tag, found in parsed if tag in ("polygon", "path", "text") and "class" in found]
    assert coloured and not any(
        f"{key}-" in found["class"] for found in coloured for key in ("fill", "stroke") & found.keys()
    )


def test_what_is_left_out_changes_no_shape():
    points = "1.24,-2 30.26,-2 30.26,-9.96 1.24,-2"
    polygon = ET.Element("polygon", {"points": points, "fill": "#fff", "stroke": "none", "class": "fill-paper"})
    line = ET.Element("polyline", {"points": points, "fill": "none", "stroke": "#000"})
    for element in (polygon, line):
        lighten(element)
    assert polygon.attrib == {"points": "1.2,-2 30.3,-2 30.3,-10", "class": "fill-paper"}
    assert line.attrib == {"points": "1.2,-2 30.3,-2 30.3,-10 1.2,-2", "fill": "none", "stroke": "#000"}
