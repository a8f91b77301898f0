import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import gradcheck


@pytest.mark.parametrize(
    "name, best_step, best_error, worse",
    [
        ("one-sided, float64", 1e-7, 1e-7, 10),
        ("central, float64", 1e-5, 1e-9, 100),
        ("central, float32", 1e-2, 1e-3, 100),
    ],
)
def test_the_error_makes_a_v(name, best_step, best_error, worse):
    demo = import_demo("gradcheck")
    error = demo.errors(*demo.CURVES[name], best_step * np.array([1e-2, 1, 10, 100]), seed=0)
    assert error[1] < best_error and error[0] > 10 * error[1]
    assert error[3] > 10 * error[1]
    if "64" in name:
        assert error[3] / error[2] == pytest.approx(worse, rel=0.2)


def test_differences_take_two_evaluations_for_each_parameter():
    demo, calls = import_demo("gradcheck"), []

    def f(w):
        calls.append(1)
        return (w**2).sum()

    np.testing.assert_allclose(demo.central(f, np.arange(7.0), 1e-5), 2 * np.arange(7.0), atol=1e-9)
    assert len(calls) == 14
    np.testing.assert_allclose(demo.one_sided(f, np.arange(7.0), 1e-7), 2 * np.arange(7.0), atol=1e-6)
    assert len(calls) == 14 + 8


def test_the_library_finds_the_mistake():
    with pytest.raises(AssertionError, match="analytic 3, numeric 6"):
        gradcheck(import_demo("gradcheck").mistaken, [3.0])


def test_it_runs_and_draws(tmp_path, capsys):
    import_demo("gradcheck").main(["--sizes", "20", "5", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "the errors grow 10-fold and 100-fold" in out
    assert "gradcheck of the neuron: True" in out and "analytic 3, numeric 6" in out
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["gradcheck.png"]


def test_options_that_make_no_sense(capsys):
    with pytest.raises(SystemExit):
        import_demo("gradcheck").main(["--sizes", "10", "0"])
    assert "argument --sizes: " in capsys.readouterr().err
