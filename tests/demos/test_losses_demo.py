import numpy as np
import pytest
from demo_runs import import_demo


def test_cross_entropy_pulls_where_the_squared_error_does_not():
    demo = import_demo("losses")
    p = np.array([0.7, 0.1, 1e-4])
    mse, entropy = [demo.value_and_slope(loss, demo.logit(p)) for loss in demo.CLASSIFIER.values()]
    np.testing.assert_allclose(mse, [(1 - p) ** 2, -2 * p * (1 - p) ** 2], atol=1e-12)
    np.testing.assert_allclose(entropy, [-np.log(p), p - 1], atol=1e-12)
    np.testing.assert_allclose(entropy[0][:2], [0.3567, 2.3026], atol=5e-5)  # worked example 11
    slow, fast = [demo.steps_back(loss, demo.logit(0.01)) for loss in demo.CLASSIFIER.values()]
    assert slow > 5 * fast > 0


def test_outliers_tilt_the_line_of_the_squared_error_alone():
    demo = import_demo("losses")
    for seed in (0, 1):
        x, y = demo.points(np.random.default_rng(seed))
        lines = {name: demo.line(loss, x, y) for name, loss in demo.REGRESSION.items()}
        np.testing.assert_allclose(lines["MSE"], np.polyfit(x[:, 0], y[:, 0], 1), atol=1e-3)
        off = {name: abs(slope - demo.SLOPE) for name, (slope, _) in lines.items()}
        assert off["MSE"] > 1 and max(off["MAE"], off["Huber"]) < 0.5


def test_it_runs_and_draws(tmp_path, capsys):
    import_demo("losses").main(["--outliers", "0", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "needs 514 steps to p = 0.5" in out and "error, 8 with cross-entropy" in out
    pictures = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert "Beyond an error of 1 only the squared error pulls harder" in out
    assert pictures == ["losses_classifier.png", "losses_outliers.png"] and all(name in out for name in pictures)


def test_options_that_make_no_sense(capsys):
    with pytest.raises(SystemExit):
        import_demo("losses").main(["--outliers", "11"])
    assert "argument --outliers: expected a whole number from 0 to 10" in capsys.readouterr().err


def test_beyond_1_only_the_squared_error_pulls_harder():
    demo = import_demo("losses")
    near, far = {}, {}
    for name, loss in demo.OF_ERROR.items():
        pulls = demo.value_and_slope(loss, [0.2, 0.8, 2.0, 8.0])[1]
        near[name], far[name] = pulls[1] > pulls[0], pulls[3] > pulls[2]
    assert near == {"MSE": True, "MAE": False, "Huber": True} and far == {"MSE": True, "MAE": False, "Huber": False}
