import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import data

demo = import_demo("vanishing_gradients")


@pytest.mark.parametrize("layers", [1, 5, 10, 20])
def test_a_chain_of_sigmoids_leaves_a_quarter_to_the_power_of_its_length(layers):
    assert demo.chain(layers) == pytest.approx(0.25**layers, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_only_plain_sigmoids_lose_the_gradient(seed):
    rng, ratio = np.random.default_rng(seed), {}
    for kind in demo.KINDS:
        first, *_, last = demo.gradients(kind, 20, 64, rng)
        ratio[kind] = first / last
    sigmoid = ratio.pop("sigmoid")
    assert 0.25**20 / 100 < sigmoid < 0.25**20 * 10
    assert all(0.05 < r < 20 for r in ratio.values())


def test_deep_sigmoids_do_not_learn_and_the_others_do():
    images, labels = data.synthetic_digits(900, seed=3)
    digits = images[:800], labels[:800], images[800:], labels[800:]
    losses = {kind: demo.learn(kind, 10, 32, digits, 4, seed=0)["train_loss"][-1] for kind in demo.KINDS}
    sigmoid = losses.pop("sigmoid")
    assert sigmoid > 2.25 and max(losses.values()) < 1.9


def test_the_program(tmp_path, capsys, folder, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    demo.main(
        ["--layers", "2", "3", "--width", "8", "--epochs", "1", "--images", "100", "--out", str(tmp_path / "new")]
    )
    assert (tmp_path / "new" / "vanishing_gradients.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "3 layers trained on 100 images of MNIST" in out and "0.016" in out


def test_what_gets_through_is_computed_and_a_last_batch_of_one_is_left_out(tmp_path, capsys):
    options = ["--layers", "1", "20", "--epochs", "1", "--images", "65", "--dataset", "synthetic"]
    for width, kinds in (("64", "ReLU, + batch norm, + residual"), ("4", "+ batch norm, + residual")):
        demo.main([*options, "--width", width, "--out", str(tmp_path)])
        assert f"through 20 layers of: {kinds}.\n" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--layers", "0"], ["--images", "1"], ["--epochs", "0"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
