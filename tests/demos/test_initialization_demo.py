import numpy as np
import pytest
from demo_runs import import_demo

demo = import_demo("initialization")


def test_equal_units_stay_equal_and_random_ones_learn():
    found = {name: demo.symmetry(init) for name, init in demo.starts(np.random.default_rng(0)).items()}
    gradients, distinct, losses = [
        dict(zip(found, column, strict=True)) for column in zip(*found.values(), strict=True)
    ]
    assert gradients["zeros"] == 0 < gradients["all 0.5"]
    assert distinct == {"zeros": 1, "all 0.5": 1, "random": 8}
    assert losses["random"] < 0.01 and min(losses["zeros"], losses["all 0.5"]) > 0.4


def test_what_ten_layers_make_of_signal_and_gradient():
    rng, width = np.random.default_rng(0), 512
    value, gradient, flat, kept = {}, {}, {}, []
    for name, (activation, init) in demo.scales(width, rng).items():
        factor, outputs = demo.flow(activation, init, width, 10, rng, examples=32)
        value[name] = [o.data.std() for o in outputs]
        gradient[name] = outputs[0].grad.std() / outputs[-1].grad.std()
        kept += [name] * demo.keeps_sizes(outputs)
        flat[name] = np.mean(abs(outputs[-1].data) > 0.9)
    assert factor == pytest.approx(2**0.5, rel=0.01)  # Kaiming's, the last one
    assert value["tanh, 0.01"][-1] < 1e-5 and gradient["tanh, 0.01"] < 1e-4
    assert flat["tanh, 0.14"] > 0.5 > 0.05 > flat["tanh, 0.05"] and gradient["tanh, 0.14"] > 5
    assert value["ReLU, Xavier"][-1] < 0.1 and gradient["ReLU, Xavier"] < 0.1
    assert kept == ["tanh, 0.05", "tanh, Xavier", "ReLU, Kaiming"]
    for name in kept[1:]:
        assert max(value[name]) < 2 * min(value[name]) and 0.3 < gradient[name] < 3


def test_a_wide_layer_is_stood_in_for_by_larger_weights():
    rng, shares = np.random.default_rng(0), []
    for width, name in ((4096, "tanh, 0.05"), (256, "tanh, 0.20")):
        activation, init = demo.scales(width, rng)[name]
        factor, outputs = demo.flow(activation, init, width, 1, rng, examples=32)
        assert factor == pytest.approx(3.2, rel=0.02)
        shares.append(np.mean(abs(outputs[-1].data) > 0.9))
    assert shares[0] == pytest.approx(shares[1], abs=0.04) and shares[0] > 0.5


def test_the_program(tmp_path, capsys):
    demo.main(["--width", "64", "--layers", "3", "--out", str(tmp_path / "new")])
    names = ["initialization_activations.png", "initialization_gradients.png"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == names
    out = capsys.readouterr().out
    assert "zeros" in out and "0.6931" in out and all(name in out for name in names)


@pytest.mark.parametrize("options", [["--layers", "1"], ["--width", "0"], ["--seed", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
