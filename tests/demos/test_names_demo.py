import sysconfig
from pathlib import Path

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import functional, manual_seed, nn, no_grad

demo = import_demo("names")


@pytest.fixture(scope="module")
def names():
    return demo.read_names(Path(sysconfig.get_path("stdlib")))


def test_the_names_are_functions_of_the_standard_library(names):
    assert len(names) > 2000 and names == sorted(set(names))
    assert {"deepcopy", "urlopen", "shuffle"} <= set(names)
    assert all(set(name) <= set(demo.LETTERS[1:]) and 3 <= len(name) <= 20 for name in names)


def test_examples_are_pieces_of_the_names():
    before, after = demo.examples(["ab", "_"], 2)
    words = ["".join([demo.LETTERS[i] for i in row]) for row in before]
    assert words == ["..", ".a", "ab", "..", "._"]
    assert "".join([demo.LETTERS[i] for i in after]) == "ab._."


def test_gradients_find_the_table_that_was_counted():
    names = ["abba", "baba", "abab"]
    before, after = demo.examples(names, 1)
    counted = demo.count(before, after)
    np.testing.assert_allclose(np.exp(counted).sum(1), 1)
    assert np.exp(counted[1, 2]) == pytest.approx((1 + 4) / (28 + 6))  # 4 of 6 letters after an a are a b
    table, losses = demo.descend(before, after, 300)
    shares = functional.softmax(table)
    np.testing.assert_allclose(shares[1, [0, 1, 2]], [1 / 3, 0, 2 / 3], atol=0.02)
    assert losses[0] == pytest.approx(np.log(28)) and losses[-1] < 0.74


def test_an_mlp_surprises_less_than_bigrams(names):
    manual_seed(0)
    rng = np.random.default_rng(0)
    before, after = demo.examples(names, 3)
    bigrams = functional.cross_entropy(demo.count(before, after)[before[:, -1]], after)
    model = nn.Sequential(nn.Embedding(28, 4), nn.Flatten(), nn.Linear(12, 40), nn.Tanh(), nn.Linear(40, 28))
    demo.learn(model, before, after, 1200, rng)
    with no_grad():
        assert functional.cross_entropy(model(before), after).item() < bigrams - 0.03
        invented = demo.invent(lambda x: model(x).data, 3, rng, number=5, longest=12).split("  ")
    assert len(invented) == 5 and all(1 <= len(name) <= 12 for name in invented)


def test_the_program(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "descend", lambda before, after, steps, descend=demo.descend: descend(before, after, 5))
    demo.main(["--steps", "30", "--hidden", "8", "--context", "2", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "no preference               3.332   3.332      28.0" in out and "MLP after 2 letters" in out
    assert all((tmp_path / f"names_{name}.png").stat().st_size > 10_000 for name in ("loss", "embedding"))


def test_a_python_without_its_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match="only 0 functions in the files of Python's library"):
        demo.main(["--out", str(tmp_path)])


@pytest.mark.parametrize("options", [["--context", "0"], ["--numbers", "1"], ["--hidden", "0"], ["--steps", "0"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
