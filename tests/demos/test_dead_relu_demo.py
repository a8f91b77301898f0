import pytest
from demo_runs import import_demo

from tinygrad_edu import data, nn

demo = import_demo("dead_relu")


def test_a_unit_dies_of_one_long_step_and_only_a_leaky_one_comes_back():
    rows = {name: demo.one_unit(*options) for name, options in demo.UNITS.items()}
    short, dead, leaky = rows.values()
    assert short[0].tolist() == dead[0].tolist() == leaky[0].tolist()
    assert short[1:, 0].min() == 1 and short[-1, 2] < 1e-9
    assert (dead[1:, :2] == 0).all() and dead[-1, 2] == dead[1, 2] > 0.3
    assert leaky[1, 0] == 0 > leaky[1, 1] and leaky[-1, 0] == 1 and leaky[-1, 2] < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_long_steps_kill_units_and_the_cures_keep_them(seed):
    images, labels = data.synthetic_digits(600, seed=3)
    digits, shares, right = (images[:400], labels[:400], images[400:], labels[400:]), {}, {}
    for name, (make, lr) in demo.networks(0.05).items():
        nn.init.manual_seed(seed)
        shares[name], right[name] = demo.train(make(), lr, digits, epochs=5, seed=seed)
    killed, *cured = shares.values()
    assert len(killed) == 35 and killed[-1] > 0.4 > 0.1 > max(max(dead) for dead in cured)
    assert right["LeakyReLU, lr 0.05"] > right["ReLU, lr 0.05"] + 0.1


def test_the_program(tmp_path, capsys, folder, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    demo.main(["--epochs", "2", "--images", "65", "--lr", "0.01", "--out", str(tmp_path / "new")])
    assert (tmp_path / "new" / "dead_relu.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "MNIST: 65 images, 200 to test" in out and "ReLU, lr 0.0002" in out


@pytest.mark.parametrize("options", [["--lr", "nan"], ["--images", "1"], ["--epochs", "0"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
