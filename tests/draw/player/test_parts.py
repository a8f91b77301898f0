import pytest
from drawn import Block, network, tower

from tinygrad_edu import Tensor
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.player.parts import Part, State, Tree
from tinygrad_edu.draw.record import record


def tree_of(output, **options):
    found = record(output)
    name_cards(found)
    return Tree(found, options.pop("compact", True), **options)


def titles(items):
    return [item.title for item in items if item.folded]


def find(tree, *ends):
    return State(next(part for part in tree.parts if part.title.endswith(end)) for end in ends)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("output", [network, lambda: tower(2), lambda: tower(7)])
def test_in_every_state_each_op_is_drawn_once_and_wires_run_forward(output, compact):
    tree = tree_of(output(), compact=compact)
    states = tree.states()
    assert len(set(states)) == len(states) > 1
    for state in states:
        assert all(part.around is None or part.around in state for part in state)
        plan, closed = tree.plan(state)
        places = {item: place for place, item in enumerate(plan.items)}
        shown = [card for item in plan.items for card in item.cards if card.op is not None]
        assert sorted(card.id for card in shown) == sorted(card.id for card in tree.record.cards if card.op)
        assert all(places[link.source] < places[link.target] for link in plan.links)
        assert set(closed.values()).isdisjoint(state) and set(titles(plan.items)) >= {p.title for p in closed.values()}


def test_a_small_graph_opens_in_every_combination():
    tree = tree_of(network(), compact=False)
    assert tree.any_set
    names = {frozenset(part.title for part in state) for state in tree.states()}
    net, loss = "Sequential", "MSELoss"
    first, second = "0 · Linear(2, 3)", "2 · Linear(3, 2)"
    opened = [{net, *inner} for inner in ([], [first], [second], [first, second])]
    assert names == {frozenset(x) | y for x in [set(), *opened] for y in (set(), {loss})}


def test_a_large_graph_opens_one_part_at_a_time_at_each_level(monkeypatch):
    monkeypatch.setattr("tinygrad_edu.draw.player.parts.SETS", 4)
    tree = tree_of(tower(3))
    net, *blocks = tree.openable
    single = [State(), State({net}), *[State({net, block}) for block in blocks]]
    assert not tree.any_set and set(tree.states()) == {*single, State({net, *blocks})}
    monkeypatch.setattr("tinygrad_edu.draw.player.parts.STATES", 4)
    assert [part.title for part in tree_of(tower(3)).openable] == ["Sequential"], "the innermost do not open"


def test_a_run_is_one_card_that_opens_to_its_first_and_last():
    tree = tree_of(tower(7))
    assert titles(tree.plan(find(tree, "Sequential"))[0].items) == ["Block × 7"]
    plan, closed = tree.plan(find(tree, "Sequential", "Block × 7"))
    assert titles(plan.items) == ["0 · Block", "⋯ 5 more, all alike", "6 · Block"]
    assert [part.opens for part in closed.values()] == [True, False, True]
    inner = tree.plan(find(tree, "Sequential", "Block × 7", "6 · Block"))[0]
    assert [scope.label for scope in inner.items[-3].path] == ["Sequential", "Block × 7", "Block"]
    four = tree_of(tower(4))
    assert len(titles(four.plan(find(four, "Sequential", "Block × 4"))[0].items)) == 4


def test_steps_of_a_loop_that_are_no_calls_are_numbered():
    h = Tensor(0.5, name="h")
    for _ in range(6):
        h = (h * 1.5).tanh()
    tree = tree_of(h)
    run = next(part for part in tree.parts if part.run)
    assert run.title == "× 6" and next(x.title for x in run.inside if isinstance(x, Part)) == "1 of 6"


def test_what_is_to_stay_closed_does_not_open():
    tree = tree_of(tower(2), stays_closed=lambda module: isinstance(module, Block))
    assert [part.title for part in tree.openable] == ["Sequential"]


def test_parameters_stand_in_their_module():
    tree = tree_of(network(), compact=False)
    plan, _ = tree.plan(find(tree, "Sequential", "0 · Linear(2, 3)"))
    weight = next(item for item in plan.items if item.cards[0].name == "0.weight")
    assert [scope.label for scope in weight.path] == ["Sequential", "Linear(2, 3)"]
