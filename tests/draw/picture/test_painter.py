import re
import shutil
import subprocess

import numpy as np
import pytest
from drawn import branch, f_of_xyz
from hypothesis import given, settings, strategies as st

import tinygrad_edu as te
from tinygrad_edu import Tensor, gradients, nn, no_grad
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.numbers import format_number
from tinygrad_edu.draw.picture.choice import estimates
from tinygrad_edu.draw.picture.engines import engine
from tinygrad_edu.draw.picture.markup import font, table
from tinygrad_edu.draw.picture.painter import Painter
from tinygrad_edu.draw.picture.sizes import extent, ranks
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.theme import palette

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's dot")


def layout(graph, format="plain"):
    """What dot makes of the source; an error or a warning fails the test."""
    found = subprocess.run(["dot", f"-T{format}"], input=graph.source.encode(), capture_output=True, check=False)
    assert found.returncode == 0 and not found.stderr, found.stderr.decode()
    return found.stdout.decode()


def places(graph):
    """Position and size of each node, in inches.

    The picture's edge, from which they are measured, may touch an arrowhead: 0.01 inch is allowed for that.
    """
    lines = [line.split() for line in layout(graph).splitlines() if line.startswith("node")]
    return {line[1]: pytest.approx(list(map(float, line[2:6])), abs=0.01) for line in lines}


def same(places, others):
    """Whether all nodes stand at the same places."""
    return places.keys() == others.keys() and all(place.expected == others[name] for name, place in places.items())


def ids(graph, kind):
    return re.findall(rf'\bid="?({kind}-[\w-]+)', graph.source)


@st.composite
def outputs(draw, most=25):
    """A random graph of scalars or of rows of three numbers, in which everything may be used again."""
    shape = draw(st.sampled_from([(), (3,)]))
    rng = draw(st.integers(0, 2**32 - 1).map(np.random.default_rng))
    pool = [Tensor(rng.uniform(0.5, 2, shape), name=f"x{i}", requires_grad=i == 0 or i % 3 > 0) for i in range(4)]
    ops = [te.add, te.multiply, te.maximum, te.subtract, lambda a, b: te.tanh(a), lambda a, b: a * 0.5]
    for _ in range(draw(st.integers(1, most))):
        a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        pool.append(draw(st.sampled_from(ops))(a, b))
    return (pool[-1] * pool[0]).sum()


@given(outputs(), st.sampled_from(["forward", "backward", "both"]), st.sampled_from(["gates", "fused", "compact"]))
def test_every_tensor_and_every_operand_wire_is_there_once(output, mode, style):
    found = record(output)
    graph = Graph(found, mode=mode, style=style, fold=False, rankdir="LR")
    assert sorted(ids(graph, "node")) == sorted(f"node-{card.id}" for card in found.cards)
    wires = [name for name in ids(graph, "wire") if not name.endswith("-out")]
    assert sorted(wires) == sorted(f"wire-{wire.target.id}-{wire.position}" for wire in found.wires())


@given(outputs())
def test_the_numbers_are_the_engine_s(output):
    found = record(output)
    graph = Graph(found, style="fused", fold=False, rankdir="LR")
    labels = {name: text for text, name in re.findall(r'\[label=<(.*)> id="node-(\w+)"', graph.source)}
    leaves = [card for card in found.cards if card.op is None and card.needs_gradient]
    for card, gradient in zip(leaves, gradients(output, [card.tensor for card in leaves]), strict=True):
        for x in [*np.ravel(gradient), *np.ravel(card.value)]:
            assert f">{format_number(x)}<" in labels[card.id]


@needs_dot
@given(outputs())
@settings(max_examples=8, deadline=None)
def test_nodes_stand_at_the_same_coordinates_in_all_modes(output):
    graph = Graph(record(output), title="t")
    at = places(graph)
    assert same(places(graph.forward()), at)
    assert same(places(graph.backward()), at)
    assert len(at) >= len(graph.plan.items)


@needs_dot
def test_modes_of_a_folded_network_stand_at_the_same_coordinates():
    model = nn.MLP([3, 4, 2])
    graph = Graph(record(nn.MSELoss()(model(np.ones((5, 3))), np.zeros((5, 2)))), depth=1)
    assert same(places(graph.forward()), places(graph))
    assert same(places(graph.backward()), places(graph))


def test_an_op_of_few_numbers_is_a_gate_with_its_role():
    graph = Graph(record(f_of_xyz()))
    assert len(ids(graph, "gate")) == 2
    assert "distributes" in graph.source and "swaps and scales" in graph.source
    assert "local: z = \u22124" in graph.source and "\u22124 · 1 = \u22124" in graph.source
    assert "∂f/∂f (seed)" in graph.source
    assert not ids(Graph(record(f_of_xyz()), style="fused"), "gate")
    assert (
        Graph(record(branch()), mode="backward", style="gates").source.count("style=dotted") == 4
    )  # a gate's output too


def test_a_tensor_used_twice_shows_its_sum_and_a_blocked_wire_its_tee():
    graph = Graph(record(branch()), mode="backward", style="fused")
    assert "Σ 3 + 3" in graph.source and "Σ 0 + 6" in graph.source
    assert graph.source.count("arrowtail=tee") == 3
    assert graph.source.count("style=dotted") == 3


def test_wires_run_forward_in_every_mode():
    for mode in ("forward", "backward", "both"):
        graph = Graph(record(branch()), mode=mode)
        edges = re.findall(r"n(\d+) -> n(\d+)", graph.source)
        assert edges and all(int(source) < int(target) for source, target in edges)


def test_the_forward_picture_shows_no_gradient():
    source = Graph(record(branch()), mode="forward").source
    gradient = re.findall(r'<FONT COLOR="([^"]+)"[^>]*>(?:<B>)?(?:∂|Σ|local)', source)
    assert gradient and set(gradient) == {"transparent"}
    assert " dir=" not in source


def test_an_arrow_of_the_backward_pass_is_as_thick_as_what_it_carries():
    x, y = Tensor(1.0, name="x"), Tensor(1.0, name="y")
    source = Graph(record((x * 10.0 + y) * 0.5), mode="backward", style="fused").source
    widths = dict(re.findall(r'id="wire-(t\d+-\d)".* penwidth=([\d.]+)', source))
    assert sorted(map(float, widths.values())) == [1.0, 1.0, 2.1, 2.1, 2.1, 3.6]  # to constants; 0.5; 5 to x


def no_gradient():
    with no_grad():
        return Tensor([1.0, 2.0], name="x") * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tensor(3.0, name="x"),
        lambda: Tensor([[1.0, 2.0]], requires_grad=False, name="x"),
        no_gradient,
        lambda: Tensor(np.ones((4, 3)), name="x") * 2.0,
        lambda: Tensor(np.ones((0, 3)), name="x").sum(),
        lambda: Tensor([np.nan, np.inf, -np.inf, 0.0, 1.0], name="x") * 2.0,
        lambda: te.concatenate([Tensor([1.0], name=f"x{i}") for i in range(5)]).sum(),
        lambda: Tensor(np.ones((2, 3, 4, 5)), name="x").sum(),
    ],
    ids=["leaf", "data", "no_grad", "many outputs", "empty", "not finite", "variadic", "4-d"],
)
@pytest.mark.parametrize("mode", ["forward", "backward", "both"])
def test_any_output_can_be_drawn(make, mode):
    graph = Graph(record(make()), mode=mode, theme="dark")
    assert len(ids(graph, "node")) == len(graph.record.cards)
    if shutil.which("dot"):
        layout(graph)


def test_module_calls_are_nested_clusters():
    model = nn.MLP([3, 4, 2])
    graph = Graph(record(model(np.ones((5, 3)))))
    assert graph.source.count("subgraph cluster_") == 4
    assert ids(graph, "cluster") == [f"cluster-{i}" for i in range(4)]
    assert "Linear(3, 4)" in graph.source


def test_what_carries_nothing_back_is_grey_with_a_tee_and_its_forward_line_stays():
    graph, grey = Graph(record(branch()), style="fused"), palette()["blocked"]
    both = re.findall(rf'color="{palette()["value_wire"]}:{grey}"', graph.source)
    assert len(both) == graph.source.count("arrowtail=tee") == graph.backward().source.count("style=dotted") == 3
    assert "blocked, 0 flows back" in graph.source


def test_what_is_not_finite_is_in_the_legend():
    x = Tensor([1.0, np.nan, np.inf, 2.0] * 5, name="x")
    source = Graph(x * 2).source
    assert "NaN or ∞" in source and source.count(">NaN\u2002<") == source.count(">∞\u2002<") == 2
    assert "NaN or ∞" not in Graph(Tensor([1.0, 2.0]) * 2).source


def test_a_gradient_that_was_0_before_is_not_called_blocked():
    found = record(Tensor(2.0, name="x") * 3.0, gradient=0.0)
    source = Graph(found).source
    assert "0 flows back" in source and "blocked, 0" not in source


def test_heat_maps_have_at_most_eight_by_eight_cells():
    source = Graph(record(Tensor(np.arange(1000.0).reshape(50, 20), name="x"))).source
    assert source.count('WIDTH="7" HEIGHT="7" FIXEDSIZE="TRUE"') == 64  # the gradient is 1 everywhere
    assert "1 everywhere" in source and ">500<" in source and "[50\u00d720]" in source


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
    (size,) = estimates(Painter(graph, graph.plan, graph.style)).values()
    true = [72 * float(inches) for inches in graph.pipe("plain").split()[2:4]]
    assert size == pytest.approx(true, rel=0.25)


def test_ranks_put_leaves_just_before_their_first_use():
    placed = {item.cards[0].name: rank for item, rank in ranks(Graph(record(f_of_xyz())).plan).items()}
    assert placed == {"x": 0, "y": 0, "q": 1, "z": 1, "f": 2}


@needs_dot
def test_no_wire_turns_around_a_node_that_its_op_could_take_in_another_order():
    x, y = Tensor(3.0, name="x"), Tensor(-2.0, name="y")
    for line in layout((x * y + x).graph(rankdir="LR")).splitlines():
        if line.startswith("edge"):
            count = int(line.split()[3])
            heights = [float(number) for number in line.split()[5 : 4 + 2 * count : 2]]
            ends = sorted((heights[0], heights[-1]))
            assert ends[0] - 0.3 < min(heights) and max(heights) < ends[1] + 0.3


@needs_dot
@pytest.mark.parametrize("style", ["gates", "fused", "compact"])
@pytest.mark.parametrize("op", [te.subtract, te.multiply])
def test_operands_stand_in_their_order_where_nothing_speaks_against_it(op, style):
    a, b = Tensor(3.0, name="a"), Tensor(2.0, name="b")
    found = places(op(b, a).graph(style=style, rankdir="LR", names={"a": a, "b": b}))
    first, second = [found[name].expected[1] for name in ("n0", "n1")]
    assert first > second  # the operand on the left is drawn above
