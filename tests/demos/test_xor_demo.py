import numpy as np
import pytest
from demo_runs import import_demo

xor = import_demo("xor")


@pytest.mark.parametrize("seed", range(5))
def test_one_neuron_learns_and_and_or_but_not_xor(seed):
    for gate, labels in xor.GATES.items():
        neuron, moves = xor.perceptron(labels, 50, np.random.default_rng(seed))
        if gate == "XOR":
            assert len(moves) == 50 and min(moves) > 0 and xor.wrong(neuron, labels) > 0
        else:
            assert len(moves) < 50 and moves[-1] == 0 and xor.wrong(neuron, labels) == 0


def test_a_move_adds_or_subtracts_the_example():
    """Rosenblatt's rule: the weights change by whole inputs, the bias by whole numbers."""
    start = xor.nn.Linear(2, 1, rng=np.random.default_rng(0))
    neuron, moves = xor.perceptron(xor.GATES["XOR"], 20, np.random.default_rng(0))
    change = np.append(neuron.weight.data - start.weight.data, neuron.bias.data - start.bias.data)
    assert sum(moves) > 0 and np.allclose(change, change.round(), atol=1e-5)


def test_two_layers_learn_xor_where_one_hidden_neuron_cannot():
    rng, labels = np.random.default_rng(0), xor.GATES["XOR"]
    wrong = {
        hidden: [xor.wrong(xor.two_layers(labels, hidden, 200, rng)[0], labels) for _ in range(5)]
        for hidden in (1, 2, 4)
    }
    assert min(wrong[1]) > 0 and min(wrong[2]) == 0 and wrong[4].count(0) >= wrong[2].count(0)


def test_the_verdict_is_the_runs_own():
    assert xor.verdict({1: 0, 2: 0}) == "None of these networks learned it."
    for learned in ({1: 0, 2: 5, 3: 7}, {2: 4, 3: 10, 4: 9}):
        assert "has 2 hidden" in xor.verdict(learned) and "from more starts" in xor.verdict(learned)
    for learned in ({2: 5, 3: 5}, {2: 5, 3: 0, 4: 7}, {1: 0, 3: 1}):
        assert "from more starts" not in xor.verdict(learned)


def test_a_network_that_learned_it_is_drawn_rather_than_one_of_lower_loss(tmp_path, monkeypatch):
    good = next(
        net for net, _ in (xor.two_layers(xor.GATES["XOR"], 4, 200, np.random.default_rng(i)) for i in range(9))
    )
    bad = xor.nn.MLP([2, 4, 1], "tanh", rng=np.random.default_rng(0))
    assert xor.wrong(bad, xor.GATES["XOR"]) > 0 == xor.wrong(good, xor.GATES["XOR"])
    nets, drawn, draw = iter([(bad, 0.1), (good, 0.2), (bad, 0.1)]), [], xor.draw
    monkeypatch.setattr(xor, "two_layers", lambda *_: next(nets))
    monkeypatch.setattr(xor, "draw", lambda neurons, net: (drawn.append(net), draw(neurons, net))[1])
    xor.main(["--starts", "3", "--hidden", "4", "--out", str(tmp_path)])
    assert drawn == [good]


def test_the_lesson(tmp_path, capsys):
    xor.main(["--starts", "2", "--hidden", "2", "4", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "AND " in out and "2-4-1" in out and str(tmp_path / "new" / "xor.png") in out
    assert (tmp_path / "new" / "xor.png").stat().st_size > 10_000


@pytest.mark.parametrize("options", [["--hidden", "0"], ["--starts", "0"], ["--seed", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        xor.main(options)
    assert caught.value.code == 2 and options[0] in capsys.readouterr().err
