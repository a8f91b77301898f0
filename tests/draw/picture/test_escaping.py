"""Names of tensors, modules and pictures appear exactly as given, whatever they contain."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.picture import engines
from tinygrad_edu.draw.picture.svg import script_json, xml_text
from tinygrad_edu.draw.record import record

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    *("<b>", "a & b", '"', "'", "a:b", "a\nb\tc", "\\N\\l", "x\\", "<", "<<x>>", "&amp;", "&eacute;", "\x00\x1b"),
    *("\ud800", "名前", "日本 🙂", "مرحبا", "\u202e", "-->", "]]>", "{a|b}", "{}", "--", "node", " ", "\U0001d6c1"),
    *("ﬀ\u0301", "1e5", "]", "]]", "</TD>", "<TABLE>", "</svg>", "</script>", '" ID="', '<TD ID="', "é" * 700),
]  # fmt: skip


def read(svg, tag):
    """What all elements of a kind say; Graphviz keeps spaces apart by making some unbreakable."""
    found = ET.fromstring(svg).iter(SVG + tag)
    return {"".join(element.itertext()).replace("\xa0", " ").strip() for element in found}


def assert_names_are_read(svg, names):
    assert {shorten(name).strip() for name in names} - {""} <= read(svg, "text")
    assert {shorten(name, 600).strip() for name in names} - {""} <= read(svg, "title")


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:12]))
def test_a_hostile_name_is_read_as_it_is(name, engine):
    mode = ("forward", "both")[HOSTILE.index(name) % 2]
    graph = Graph(record(Tensor(2.0, name=name) * Tensor([1.0, 2.0], name=f"2{name}")), mode=mode, title=name)
    svg = graph.pipe("svg")
    assert_names_are_read(svg, [name, f"2{name}"])
    assert ET.fromstring(svg)[0].text == xml_text(name)


def test_a_module_with_a_hostile_name_is_a_cluster_or_a_card(engine):
    for name in ('<b> & "', "\\N</TD>", "{a|b}--"):
        kind = type(name, (nn.Module,), {"forward": lambda self, x: (x * 2.0).tanh()})
        output = kind()(Tensor(0.5, name="x"))
        for depth in (None, 0):
            assert_names_are_read(Graph(record(output), depth=depth).pipe("svg"), [name])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=8, unique_by=printable))
def test_any_names_are_read_as_they_are(names):
    if engines.engine() is None:
        pytest.skip("neither dot nor pygraphviz is installed")
    x = Tensor(0.5, name="x")
    for name in names:
        x = x * 2.0
        x.name = name
    assert_names_are_read(Graph(record(x)).pipe("svg"), [name for name in names if name != "x"])


def test_a_long_name_is_whole_in_the_tooltip():
    source = Graph(record(Tensor(2.0, name="begin" + "x" * 500 + "end"))).source
    assert "<B>beginxxxxxxxx…xxxxxxxxxxend</B>" in source
    assert "tooltip=begin" + "x" * 500 + "end" in source


@given(st.text(st.characters() | st.sampled_from("</script>!-\u2028&\ud800")))
def test_json_in_a_script_element_ends_nothing(text):
    written = script_json([text])
    assert not set(written) & set("<>&\u2028\u2029") and json.loads(written) == [text]
