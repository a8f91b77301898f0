import base64
import gzip
import json
import re
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest
from chromium import needs_chromium, print_page, run
from drawn import Block, network, tower

from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture.choice import LEGIBLE, letters
from tinygrad_edu.draw.picture.engines import engine
from tinygrad_edu.draw.player.opening import beginning, tree_of
from tinygrad_edu.draw.theme import DARK, LIGHT

pytestmark = pytest.mark.skipif(engine() is None, reason="Graphviz is not installed, neither dot nor pygraphviz")

START = """
const wait = async (key) => { while (keyOf(open) !== key) await new Promise((done) => setTimeout(done, 20)); };
const up = { bubbles: true, cancelable: true };
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, ...up }));
const part = (title) => document.querySelector(`[data-part][aria-label="${title}"]`);
const click = (x) => (x.querySelector("rect, polygon") ?? x).dispatchEvent(new MouseEvent("click", { bubbles: true }));
const place = (x) => { const box = x.getBoundingClientRect(); return [box.left, box.top]; };
"""


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.html)[1])


def picture(data, key):
    return ET.fromstring(gzip.decompress(base64.b64decode(data["states"][key])))


def test_the_page_has_a_picture_of_every_state_and_stands_for_itself(tmp_path):
    page = Graph(network(), theme="dark").page(tmp_path / "new" / "net.html", title="<net>")
    assert page.path.read_text(encoding="utf-8") == page.html and "&lt;net&gt;</h1>" in page.html
    assert repr(page).startswith("Page('<net>', written to ") and "<iframe" in page._repr_html_()
    assert "height:640px" in page._repr_html_(), "with room for what opens"
    data = data_of(page)
    assert len(data["states"]) == page.states == 10 and data["first"] == "0,3", "the first level is open"
    for key in data["states"]:
        buttons = {x.get("data-part"): x.get("aria-label") for x in picture(data, key).iter() if x.get("data-part")}
        assert set(filter(None, key.split(","))) <= set(buttons)
        assert all(buttons[number] == data["parts"][int(number)][0] for number in buttons)
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", page.html)) == {"http://www.w3.org/2000/svg"}
    assert ":focus-visible { outline: 3px solid var(--value_text)" in page.html, "3:1, see test_theme.py"
    assert "default-src 'none'" in page.html and "{{" not in page.html


def test_where_a_page_begins():
    def opened(**options):
        graph = Graph(tower(3), style="compact", **options)
        _, tree = tree_of(graph)
        return {part.title for part in beginning(graph, tree, tree.states())}

    blocks = {"0 · Block", "1 · Block", "2 · Block"}
    assert opened() == opened(depth=1) == {"Sequential"} and opened(depth=0) == set()
    assert opened(depth=2) == {"Sequential", *blocks} == opened(fold=False)
    assert opened(fold=lambda module: isinstance(module, Block), depth=9) == {"Sequential"}


@pytest.mark.parametrize(("sizes", "style"), [([2, 3, 1], "fused"), ([4, 8, 8, 8, 8, 3], "compact")])
def test_a_page_begins_with_a_picture_that_is_legible_on_a_slide(sizes, style):
    graph = nn.MLP(sizes).graph(Tensor(np.ones((2, sizes[0]))))
    assert tree_of(graph)[0] == style
    data = data_of(graph.page())
    width, height = (float(x) for x in picture(data, data["first"]).get("data-size").split())
    assert letters((width, height), style) >= LEGIBLE


@needs_chromium
def test_parts_open_and_close_by_mouse_and_keyboard(tmp_path):
    found = run(
        Graph(network(), style="fused").page().html,
        START
        + """
        const seen = [keyOf(open)];
        const first = part("0 · Linear(2, 3)"), before = place(first);
        click(first); await wait("0,1,3"); seen.push(keyOf(open));
        const opened = part("0 · Linear(2, 3)");
        const labels = [opened.getAttribute("aria-expanded"), opened.getAttribute("role"), opened.tabIndex];
        opened.focus(); press(opened, "Enter"); await wait("0,3");
        const at = (title) => document.activeElement === part(title);
        const kept = [at("0 · Linear(2, 3)")];
        press(part("0 · Linear(2, 3)"), "c"); await wait(""); seen.push(svg().querySelectorAll(".node").length);
        kept.push(at("Sequential"));  // which is what is left of it
        press(part("Sequential"), " "); await wait("0");
        part("MSELoss").focus(); press(part("MSELoss"), "o"); await wait("0,1,2,3"); kept.push(at("MSELoss"));
        seen.push(svg().querySelectorAll(".node").length);
        click(part("Sequential")); await wait("3");
        return { seen, labels, kept, spoken: $("spoken").textContent, live: $("spoken").ariaLive };
        """,
        tmp_path,
    )
    assert found["seen"] == ["0,3", "0,1,3", 4, 12]
    assert found["labels"] == ["true", "button", 0] and found["kept"] == [True] * 3
    assert found["spoken"].startswith("Sequential is closed: ") and found["live"] == "polite"


@needs_chromium
def test_opening_one_of_many_closes_the_other_and_the_clicked_part_stays_in_view(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_edu.draw.player.parts.SETS", 4)
    found = run(
        Graph(tower(3), style="compact").page().html,
        START
        + """
        click(part("1 · Block")); await wait("0,4");
        hand.zoom(2); const scale = hand.scaleOf(view);
        click(part("2 · Block")); await wait("0,7");
        const [left, top] = place(part("2 · Block")), room = stage.getBoundingClientRect();
        const seen = left >= room.left && left < room.right && top >= room.top && top < room.bottom;
        return [parts[7][0], seen, Math.abs(hand.scaleOf(view) / scale - 1) < 0.01, $("hint").textContent];
        """,
        tmp_path,
    )
    assert found[:3] == ["2 · Block", True, True] and "one part is open at a time" in found[3]


@needs_chromium
def test_the_page_fits_a_phone_and_is_moved_by_hand(tmp_path):
    found = run(
        Graph(network(), style="fused").page().html,
        START
        + """
        const page = document.documentElement;
        const sizes = [page.scrollWidth <= innerWidth, page.scrollHeight <= innerHeight];
        const home = svg().getAttribute("viewBox"), room = stage.getBoundingClientRect();
        const send = (type, clientX, clientY, pointerId = 1) =>
          stage.dispatchEvent(new PointerEvent(type, { clientX, clientY, pointerId, ...up }));
        stage.setPointerCapture = (pointerId) =>  // what a finger came down on loses it
          svg().querySelector("polygon").dispatchEvent(new PointerEvent("lostpointercapture", { pointerId, ...up }));
        const [x, y, w] = view;
        send("pointerdown", 100, 200); send("pointermove", 140, 220);
        send("pointermove", 160, 230); send("pointerup", 160, 230); send("pointermove", 200, 200);
        const scale = hand.scaleOf(view), dragged = [(x - view[0]) * scale, (y - view[1]) * scale].map(Math.round);
        const key = keyOf(open); click(part("MSELoss")); await new Promise((done) => setTimeout(done, 100));
        const still = keyOf(open) === key;  // a drag ends in a click, which is none
        press(document.body, "0"); const fitted = svg().getAttribute("viewBox") === home;
        const at = { clientX: room.left, clientY: room.top, ctrlKey: true, deltaY: -20 };
        const wheel = new WheelEvent("wheel", { ...at, ...up }), [u, v] = view;
        stage.dispatchEvent(wheel);
        const zoomed = [view[2] < w, wheel.defaultPrevented, Math.hypot(view[0] - u, view[1] - v) < 2];
        press(document.body, "0");
        send("pointerdown", 100, 200); send("pointerdown", 200, 200, 2);
        send("pointermove", 250, 200, 2); send("pointermove", 300, 200, 2); const pinched = w / view[2];
        press(document.body, "0"); press(document.body, "+"); const larger = view[2] < w;
        const left = view[0]; press(document.body, "ArrowRight");
        return { sizes, dragged, still, fitted, zoomed, pinched, larger, panned: view[0] > left };
        """,
        tmp_path,
        size=(500, 844),
    )
    pinched = found.pop("pinched")
    assert pinched == pytest.approx(2, rel=0.01)
    assert found == {
        "sizes": [True, True], "dragged": [60, 30], "still": True, "fitted": True, "zoomed": [True] * 3,
        "larger": True, "panned": True,
    }  # fmt: skip


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("make", [Graph.page, Graph.player])
def test_a_printed_page_has_one_sheet_on_white_paper(make, tmp_path):
    page = make(Graph(network(), theme="dark", style="fused"))
    pdf = print_page(page.html, tmp_path)
    (box,) = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert float(box[0]) > float(box[1]), "the picture is wider than high"
    found = re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    drawn = b"".join([zlib.decompress(part) for part in found])
    dark, light = (colour_in_pdf(theme["value_fill"]) for theme in (DARK, LIGHT))
    assert light in drawn and dark not in drawn


def colour_in_pdf(colour):
    return " ".join([f"{x / 255:.4f}".strip("0") for x in bytes.fromhex(colour[1:])]).encode()
