import numpy as np
import pytest
from demo_runs import import_demo


@pytest.fixture(scope="module")
def demo():
    return import_demo("activations")


@pytest.fixture(scope="module")
def found(demo):
    return {name: demo.facts(name, 6.0, np.random.default_rng(0), 10_000) for name in demo.ACTIVATIONS}


@pytest.mark.parametrize(
    ("name", "value", "slope"), [("ReLU", 1.5, 1), ("sigmoid", 0.8176, 0.1491), ("tanh", 0.9051, 0.1807)]
)
def test_worked_example_5(demo, name, value, slope):
    a, da = demo.value_and_slope(name, np.array([1.5]))
    assert [a.item(), da.item()] == pytest.approx([value, slope], abs=5e-5)


def test_the_largest_slopes(found):
    assert (found["sigmoid"]["most"], found["sigmoid"]["where"]) == (0.25, 0)
    assert (found["tanh"]["most"], found["tanh"]["where"]) == (1, 0)
    assert found["GELU"]["most"] > 1 and found["GELU"]["where"] == pytest.approx(2**0.5, abs=0.005)


def test_saturation(found):
    def is_flat(name, side):
        return abs(found[name][side]) < 0.01

    assert {name for name in found if is_flat(name, "right")} == {"sigmoid", "tanh"}
    assert {name for name in found if is_flat(name, "left")} == {"sigmoid", "tanh", "ReLU", "ELU", "GELU"}


def test_zero_centring(found):
    mean = {name: abs(it["mean"]) for name, it in found.items()}
    assert mean["tanh"] < 0.02 < mean["ELU"] < mean["GELU"] < mean["LeakyReLU"] < mean["ReLU"] < mean["sigmoid"]


def test_a_small_range_has_three_points(demo):
    it = demo.facts("ELU", 0.002, np.random.default_rng(0), 10)
    assert (it["left"], it["right"]) == pytest.approx((np.exp(-0.002), 1))


def test_what_is_printed_and_drawn(demo, tmp_path, capsys):
    demo.main(["--out", str(tmp_path / "new"), "--samples", "1000"])
    printed = capsys.readouterr().out
    assert "sigmoid      0.8176  0.1491  0.2500   0.00" in printed and "-0.0000" not in printed
    assert "Flat on both sides at 6: sigmoid and tanh; centred best: tanh." in printed
    assert "The slopes of 10 sigmoid layers, weights aside, leave at most 0.25^10 = 9.5e-07" in printed
    for title in ("saturating", "unbounded"):
        assert (tmp_path / "new" / f"activations_{title}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [["--range", "0"], ["--range", "nan"], ["--at", "inf"], ["--samples", "0"]])
def test_options_out_of_range(demo, options):
    with pytest.raises(SystemExit, match="2"):
        demo.main(options)
