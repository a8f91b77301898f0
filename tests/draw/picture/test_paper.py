import re
import struct
import xml.etree.ElementTree as ET

import pytest
from drawn import branch, named

from tinygrad_edu import Tensor
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.paper import Sheet, convert, file_of, lay_on, picture_format
from tinygrad_edu.draw.picture.svg import parse


def finished(output, **options):
    return parse(Graph(output, **options).pipe("svg", encoding="utf-8"))


def pixels(png):
    return struct.unpack(">II", png[16:24])


def texts(root):
    """Each text with its place on the page, in points of the picture."""
    left, top, *_ = (float(x) for x in root.attrib["viewBox"].split())
    moves = [re.findall(r"-?[\d.]+", group.get("transform", ""))[-2:] for group in root.iter("g")]
    dx, dy = next((float(x), float(y)) for x, y in [move for move in moves if move])
    return [
        (text.text, float(text.get("x")) + dx - left, float(text.get("y")) + dy - top)
        for text in root.iter("text") if text.text.strip()
    ]  # fmt: skip


def test_a_finished_picture_drawn_again_has_its_texts_where_they_were(engine):
    root = finished(branch(), title="branch", mode="both")
    again = parse(convert(root, "svg", 20).decode())
    before, after = sorted(texts(root)), sorted(texts(again))
    assert [text for text, *_ in after] == [text for text, *_ in before]
    assert [x for _, x, _ in after] == pytest.approx([x for _, x, _ in before], abs=0.6)
    assert [y for *_, y in after] == pytest.approx([y for *_, y in before], abs=0.6)


def test_shapes_are_drawn_where_they_were_and_hidden_ones_are_not():
    svg = (
        '<svg viewBox="10 20 100 50" width="100pt" height="50pt"><g transform="translate(5 7)" opacity="0.5">'
        '<polygon fill="#0072b2" stroke="none" points="10,20 30,20 30,40"/>'
        '<path fill="none" stroke="#d55e00" stroke-width="2" stroke-dasharray="9 5" d="M10,20C10,30 20,30 30,20"/>'
        '<rect x="5" y="13" width="10" height="4" fill="none" stroke="#e69f00" visibility="hidden"/></g></svg>'
    )
    sheet = Sheet(10, 70)
    sheet.add(ET.fromstring(svg))
    assert sheet.shapes == [
        "c 11 -transparent C 9 -#0072b280 S 15 -setlinewidth(1) S 5 -solid P 3 5.00 43.00 25.00 43.00 25.00 23.00 ",
        "c 9 -#d55e0080 C 11 -transparent S 15 -setlinewidth(2) S 6 -dashed "
        "B 4 5.00 43.00 5.00 33.00 15.00 33.00 25.00 43.00 ",
    ]


@pytest.mark.parametrize(
    ("size", "sides"),
    [("slide", {(960, 540)}), ("A4", {(841.9, 595.3), (595.3, 841.9)}), ("letter", {(792, 612), (612, 792)})],
)
def test_a_picture_lies_in_the_middle_of_its_page(size, sides):
    root = finished(branch(), theme="dark")
    inner = [float(x) for x in root.attrib["viewBox"].split()]
    lay_on(root, size, "#11161d")
    page = tuple(float(root.attrib[name].removesuffix("pt")) for name in ("width", "height"))
    left, top, width, height = (float(x) for x in root.attrib["viewBox"].split())
    assert page in sides and width / height == pytest.approx(page[0] / page[1], rel=1e-3)
    assert (left + width / 2, top + height / 2) == pytest.approx((inner[2] / 2, inner[3] / 2), abs=0.1)
    assert width >= inner[2] + 18 * width / page[0] and height >= inner[3] + 18 * height / page[1]
    text = file_of(root, "svg", 20).decode()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg" and 'fill="#11161d"' in text


def test_files_on_a_page(engine, tmp_path):
    graph = Graph(named(-Tensor(2.0, name="x"), "f"))
    graph.render(tmp_path / "f.pdf", size="A4")
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    assert sorted(float(x) for x in box) == pytest.approx([595.3, 841.9], abs=1)
    graph.render(tmp_path / "f.png", size="slide")
    assert pixels((tmp_path / "f.png").read_bytes()) == pytest.approx((2560, 1440), abs=2)
    with pytest.raises(ValueError, match="render: a page of size='slide' is an svg, a png or a pdf, not gif"):
        graph.render(tmp_path / "f.gif", size="slide")
    with pytest.raises(ValueError, match="size is 'A3'; it must be"):
        graph.render(tmp_path / "g.svg", size="A3")
    assert {path.name for path in tmp_path.iterdir()} == {"f.pdf", "f.png"}


def test_a_png_is_sharp_unless_the_graph_says_otherwise():
    graph = Graph(named(-Tensor(2.0, name="x"), "f"))
    width, height = pixels(render(graph.source, "png"))  # at 96 to the inch
    assert pixels(graph.pipe("png")) == pytest.approx((2 * width, 2 * height), abs=2)
    assert len(pixels(Graph(graph.record, title="{").pipe("png"))) == 2
    graph.attr(dpi="48")
    assert pixels(graph.pipe("png")) == pytest.approx((width / 2, height / 2), abs=2)


def test_endings():
    assert [picture_format(name) for name in ("a.b/c.PNG", "loss.gv", "loss", "x.dot", "v1.2")] == [
        "png",
        "",
        "",
        "",
        "",
    ]
