from itertools import islice

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import grad, hessian, hvp
from tinygrad_edu.data import synthetic_digits


def test_newton_is_at_the_bottom_of_a_bowl_after_one_step():
    demo = import_demo("newton")
    valley, start, lr = demo.VALLEYS["A bowl, (x² + 100 y²) / 2"]
    f, x = lambda p: valley(p[0], p[1]), np.array(start)
    for direction in (demo.solved, demo.conjugate_gradients):
        path = list(demo.newton(f, x, direction))
        np.testing.assert_allclose(path[-1], [0, 0], atol=1e-6)
        assert len(path) == (2 if direction is demo.solved else 3)
    slow = list(islice(demo.descent(f, x, lr), 100))
    assert np.linalg.norm(slow[-1]) > 0.1


def test_newton_follows_the_bend_of_rosenbrocks_valley():
    demo = import_demo("newton")
    valley, start, lr = demo.VALLEYS["Rosenbrock's valley"]
    f, x = lambda p: valley(p[0], p[1]), np.array(start)
    path = list(demo.newton(f, x, demo.solved))
    np.testing.assert_allclose(path[-1], [1, 1], atol=1e-6)
    heights = [f(p) for p in path]
    assert len(path) < 30 and heights == sorted(heights, reverse=True)
    assert f(list(islice(demo.descent(f, x, lr), 500))[-1]) > 0.01


def test_products_without_the_hessian():
    demo, rng = import_demo("newton"), np.random.default_rng(0)
    images, labels = synthetic_digits(30, seed=0)
    f = demo.softmax_regression(images[:, 12:14, 13:15], labels)  # four pixels
    w, v = rng.normal(size=(2, 40))
    np.testing.assert_allclose(hvp(f, w, v), hessian(f)(w) @ v, atol=1e-12)
    exact, inexact = [list(demo.newton(f, w, way))[-1] for way in (demo.solved, demo.conjugate_gradients)]
    assert np.linalg.norm(grad(f)(inexact)) < 1e-6
    np.testing.assert_allclose(inexact, exact, atol=1e-3)


def test_it_runs_and_draws(tmp_path, capsys, folder, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    import_demo("newton").main(["--steps", "25", "--images", "50", "--out", str(tmp_path / "new")])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (slow,) = [row for row in rows if row[:3] == ["gradient", "descent,", "lr"]]
    (fast,) = [row for row in rows if row[:3] == ["Newton,", "by", "products"]]
    assert slow[4] == "25" and int(fast[3]) < 25 and float(fast[-1]) < 1e-6 < 1e-3 < float(slow[-1])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["newton_digits.png", "newton_valley.png"]


def test_a_learning_rate_too_high_diverges_in_words(tmp_path, capsys):
    images, labels = synthetic_digits(20, seed=0)
    figure = import_demo("newton").digits("digits", images, labels, 1e10, 500)
    out = capsys.readouterr().out
    assert out.count("  diverged\n") == 1 and "inf" not in out and "nan" not in out
    figure.savefig(tmp_path / "digits.png")


def test_options_that_make_no_sense(capsys):
    for option, value in (("--steps", "0"), ("--images", "0"), ("--lr", "inf")):
        with pytest.raises(SystemExit):
            import_demo("newton").main([option, value])
        assert f"argument {option}: expected " in capsys.readouterr().err
