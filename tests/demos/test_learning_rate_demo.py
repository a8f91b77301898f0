import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import synthetic_digits


@pytest.fixture(scope="module")
def demo():
    return import_demo("learning_rate")


@pytest.mark.parametrize("lr", [0.02, 0.4, 0.95, 1.03])
def test_a_step_on_a_parabola_multiplies_x(demo, lr):
    """x - lr · 2x, so |x| shrinks as long as the rate is below 2 / curvature = 1."""
    x = demo.descend(demo.FUNCTIONS["x²"][0], -2.0, lr, 30)
    assert x == pytest.approx(-2 * (1 - 2 * lr) ** np.arange(31), rel=1e-9)
    assert (np.abs(x[-1]) < 2) == (lr < 1)


def test_the_steeper_the_valley_the_smaller_the_rate(demo):
    ends = {name: abs(demo.descend(demo.FUNCTIONS[name][0], 1.0, 0.3, 20)[-1]) for name in ("x²", "4 x²")}
    assert ends["x²"] < 1e-3 < 1 < ends["4 x²"]


def test_divergence_leads_to_infinity_without_a_warning(demo):
    assert not np.isfinite(demo.descend(demo.FUNCTIONS["x⁴/4 − x² + x/4"][0], 3.0, 1.0, 40)[-1])


def test_what_is_printed_and_drawn(demo, tmp_path, capsys, monkeypatch):
    """The suggested rate learns, and one a hundred times smaller or larger does not: it goes on guessing."""
    digits = "synthetic digits", (*synthetic_digits(1000, seed=1), *synthetic_digits(2, seed=2))
    monkeypatch.setattr(demo.data, "load_digits", lambda *_: digits)
    demo.main(["--out", str(tmp_path / "new"), "--epochs", "4"])
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if "times it" in line}
    assert (
        set(rows) == {"0.01", "0.1", "1", "10", "100"} and "784-128-10 and 1,000 images of synthetic digits" in printed
    )
    loss = {name: float("inf") if "diverged" in row else float(row[4]) for name, row in rows.items()}
    assert loss["1"] < min(loss["0.01"], loss["100"]) and loss["1"] < 1.5 < 2 < loss["100"]
    assert "too small   0.02    0.96" in printed and "> 400" in printed
    for picture in ("valley", "finder"):
        assert (tmp_path / "new" / f"learning_rate_{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_rates_that_all_diverge(demo, monkeypatch, capsys):
    def diverge(*_, **__):
        raise FloatingPointError

    monkeypatch.setattr(demo, "fit", diverge)
    images, labels = synthetic_digits(1000, seed=1)
    demo.finder("digits", demo.lesson.flat(images), labels, 1, 0)
    printed = capsys.readouterr().out
    assert printed.count("diverged\n") == 5 and "lowest" not in printed


def test_the_longest_descents_are_drawn(demo, capsys):
    assert demo.valley(demo.LONG).axes[0].get_ylabel() == "x²"
    assert "> 400" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--steps", "0"], ["--steps", "401"], ["--images", "0"], ["--epochs", "0"]])
def test_options_out_of_range(demo, options):
    with pytest.raises(SystemExit, match="2"):
        demo.main(options)


def test_a_folder_without_digits_is_named(demo, tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*none"):
        demo.main(["--data-dir", str(tmp_path / "none"), "--out", str(tmp_path)])
