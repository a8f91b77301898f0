import pytest
from drawn import branch, f_of_xyz

import tinygrad_edu as te
from tinygrad_edu import Tensor
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture.cards import font, table
from tinygrad_edu.draw.picture.engines import engine
from tinygrad_edu.draw.picture.painter import Painter, extent, ranks
from tinygrad_edu.draw.record import record


def test_the_extent_of_a_label_is_about_what_graphviz_makes_of_it():
    assert extent(table([["<TD>ab</TD>", '<TD WIDTH="30" HEIGHT="20"></TD>'], ["<TD>a</TD>"]], 2)) == pytest.approx(
        (2 * 0.55 * 11 + 30 + 8, 20 + 1.2 * 11 + 8)
    )
    one, two = extent(font("abc", "red", 10)), extent(f"{font('abc', 'red', 10)}<BR/>{font('&<ab', 'red', 20)}")
    assert one == pytest.approx((16.5, 12)) and two == pytest.approx((44, 36))


@pytest.mark.parametrize(("steps", "direction"), [(3, "LR"), (9, "TB")])
def test_long_pictures_go_from_top_to_bottom(steps, direction):
    x = Tensor(0.5, name="x")
    for _ in range(steps):
        x = te.tanh(x)
    assert f"rankdir={direction}" in Graph(record(x)).source
    assert "rankdir=TB" in Graph(record(x), rankdir="TB").source


def test_wide_pictures_go_from_top_to_bottom_in_all_modes():
    y = Tensor(0.5)
    for _ in range(30):
        y = te.tanh(y)
    graph = Graph(y)
    assert all("rankdir=TB" in picture.source for picture in (graph, graph.forward(), graph.backward(theme="dark")))
    assert "rankdir=LR" in Graph(record(f_of_xyz())).source


@pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")
@pytest.mark.parametrize("sideways", [True, False])
@pytest.mark.parametrize("make", [f_of_xyz, branch])
def test_the_estimated_size_is_near_the_true_one(make, sideways):
    graph = Graph(record(make()), rankdir="LR" if sideways else "TB")
    painter = Painter(graph.copy())
    painter.draw()
    true = [72 * float(inches) for inches in graph.pipe("plain").split()[2:4]]
    assert painter.sizes.picture(ranks(painter.plan), sideways) == pytest.approx(true, rel=0.25)


def test_ranks_put_leaves_just_before_their_first_use():
    placed = {item.cards[0].name: rank for item, rank in ranks(Graph(record(f_of_xyz())).plan).items()}
    assert placed == {"x": 0, "y": 0, "q": 1, "z": 1, "f": 2}
