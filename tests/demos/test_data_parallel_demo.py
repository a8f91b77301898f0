import argparse
import re

import numpy as np
import pytest
from demo_runs import import_demo
from hypothesis import given, strategies as st
from ranks import launch, measure, report

demo = import_demo("data_parallel")
HAND = demo.Costs(1.0, 0.5, 0.2, 0.1, latency=2.0, byte=0.1, gradients=100)
positive = st.floats(1e-6, 1e3)


def test_costs_by_hand():
    assert [HAND.allreduce(p) for p in (1, 2, 4)] == [0, 2 * (2 + 50 * 0.1), 6 * (2 + 25 * 0.1)]
    assert HAND.step(4, 10) == 1 + 0.5 * 10 + 27
    assert HAND.hiding_batch(2, 0.1) == (14 * 9 - 1) / 0.5 == 250 and HAND.step(2, 250) == 10 * HAND.allreduce(2)
    assert HAND.overlapping_batch(2) == pytest.approx((14 - 0.2) / 0.1)
    assert HAND.hiding_batch(1, 0.1) == HAND.overlapping_batch(1) == 1


@given(st.tuples(*[positive] * 7), st.integers(2, 1024), st.floats(0.01, 0.9))
def test_a_batch_that_hides_is_the_smallest_that_does(numbers, ranks, part):
    costs = demo.Costs(*numbers)
    batch = costs.hiding_batch(ranks, part)
    assert costs.allreduce(ranks) <= part * costs.step(ranks, batch) * (1 + 1e-9)
    assert batch == 1 or costs.allreduce(ranks) > part * costs.step(ranks, batch - 1) * (1 - 1e-9)


@given(st.floats(0, 1e3), positive, st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True))
def test_a_line_is_found_again(intercept, slope, x):
    x = np.array(x, float)
    found, error = demo.line(x, intercept + slope * x)
    assert error < 1e-6
    assert found[0] + found[1] * x == pytest.approx(intercept + slope * x, rel=1e-6)


@given(st.lists(st.tuples(st.floats(1, 1e6), positive), min_size=2, max_size=6, unique_by=lambda p: p[0]), positive)
def test_no_line_without_negative_numbers_is_closer(points, size):
    x, y = np.transpose(points)
    (intercept, slope), error = demo.line(x, y)
    lines = [(intercept * a + b, slope * c + d / x.max()) for a, b, c, d in np.random.default_rng(0).random((50, 4))]
    squares = lambda a, b: np.sum((a / y + b * x / y - 1) ** 2)
    assert min(intercept, slope) >= 0
    assert error == pytest.approx(np.abs((intercept + slope * x) / y - 1).max())
    assert squares(intercept, slope) <= min(squares(a * size, b * size) for a, b in lines) * (1 + 1e-9)


def arguments(**options):
    return argparse.Namespace(**{"batch_size": 64, "global_batch": 1024, "hidden": [8], "rounds": 1, **options})


def exact(costs, weights, args):
    """What is measured where steps cost exactly that."""
    batches, repeats = np.array(measure.batch_sizes(args)), np.ones(3)
    backward = costs.backward_fixed + costs.backward_example * batches
    other = costs.fixed + costs.example * batches - backward
    found = {}
    for ranks in (1, 2):
        averaging = np.full(len(batches), costs.allreduce(ranks))
        parts = np.stack([other / 2, backward, averaging, other / 2], axis=1)[..., None] * repeats
        found[ranks] = {"parts": parts, "weights": np.full((weights, 1), 1 / ranks, np.float32)}
    sent = [costs._replace(gradients=4 * size).allreduce(2) for size in measure.sizes(weights)]
    found[2]["allreduce"] = np.array(sent)[:, None] * repeats
    return found


def test_fitted_are_the_costs_that_were_measured(capsys):
    args, costs = arguments(), demo.EXAMPLE._replace(gradients=4 * 6370)
    found = exact(costs, 6370, args)
    fit, errors = demo.fitted(*found.values(), measure.batch_sizes(args))
    assert fit == pytest.approx(costs, rel=1e-6) and max(errors) < 1e-6
    report.print_measured(found, fit, errors, args)
    out = " ".join(capsys.readouterr().out.split())
    assert "differ from those of 1 rank by at most 0.5; the largest weight is 1." in out
    assert "computing takes +0% beside another rank" in out and "1.0 times as long as Allreduce alone" in out
    assert "programs that want them" not in out
    found[2]["parts"][:, measure.PARTS.index("averaging")] *= 5
    report.print_measured(found, fit, errors, args)
    assert "programs that want them" in capsys.readouterr().out


def test_without_mpi_it_draws_example_figures_and_says_so(monkeypatch, tmp_path, capsys):
    for missing, words in (("mpi4py", "mpi4py is not installed"), ("mpiexec", "there is no mpiexec")):
        monkeypatch.setattr(launch, "installed", lambda name, missing=missing: name != missing)
        monkeypatch.setattr(launch, "mpiexec", lambda: None)
        assert launch.missing() == words
    demo.main(["--out", str(tmp_path)])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("there is no mpiexec; ") and 'pip install -e ".[mpi]"' in first
    assert "example" in first.lower() and last == f"picture: {tmp_path / 'data_parallel.png'}"
    assert (tmp_path / "data_parallel.png").stat().st_size > 10_000


def table(out):
    """The rows of the table of ranks: ranks, ms and speed-up of both scalings, two batches."""
    rows = [line.replace(",", "").replace("%", "").split() for line in out.split("ranks  ms")[1].splitlines()[1:12]]
    return np.array(rows, float)


def test_the_table_and_the_words_tell_the_costs(monkeypatch, tmp_path, capsys, undrawn):
    monkeypatch.setattr(launch, "missing", lambda: "there is no mpiexec")
    demo.main(["--latency", "30", "--bandwidth", "1.25", "--batch-size", "32", "--out", str(tmp_path)])
    out, costs = capsys.readouterr().out, demo.EXAMPLE._replace(latency=30e-6, byte=0.8e-9)
    ranks, weak, work, _, strong, faster, _, hiding, overlapping = table(out).T
    assert ranks.tolist() == [2**k for k in range(11)]
    assert weak == pytest.approx(1e3 * costs.step(ranks, 32), abs=0.006)
    assert strong == pytest.approx(1e3 * costs.step(ranks, 1024 / ranks), abs=0.006)
    assert work == pytest.approx(ranks * costs.step(1, 32) / costs.step(ranks, 32), abs=0.06)
    assert faster == pytest.approx(costs.step(1, 1024) / costs.step(ranks, 1024 / ranks), abs=0.06)
    assert hiding.tolist() == costs.hiding_batch(ranks, 0.1).tolist()
    assert overlapping.tolist() == costs.overlapping_batch(ranks).tolist()
    best = re.search(r"best number of ranks is ([\d,]+), with ([\d.]+) times", " ".join(out.split()))
    assert float(best[1]) == ranks[costs.step(ranks, 1024 / ranks).argmin()] and float(best[2]) == faster.max()


@pytest.mark.skipif(bool(launch.missing()), reason=f"{launch.missing()}; pip install -e '.[mpi]' brings it")
def test_two_ranks_are_measured(monkeypatch, tmp_path, capfd):
    pictures = []
    monkeypatch.setattr(demo.lesson, "save", lambda figure, path: pictures.append(figure))
    options = ["--rounds", "1", "--steps", "2", "--hidden", "8", "--batch-size", "48", "--out", str(tmp_path)]
    demo.main(options)
    out, err = capfd.readouterr()
    words = r"differ from those of 1 rank by at most (\S+); the largest weight is (\S+)\."
    difference, largest = re.search(words, " ".join(out.split())).groups()
    assert err == "" and 0 < float(difference) < 1e-4 < 0.1 < float(largest) and table(out).min() >= 0
    lines = {line.get_label(): line.get_xydata() for line in pictures[0].axes[0].lines}
    assert lines["weak, measured"][0].tolist() == lines["strong, measured"][0].tolist() == [1, 1]
    assert lines["weak, measured"][1][1] > 0 < lines["strong, measured"][1][1]


@pytest.mark.skipif(bool(launch.missing()), reason=f"{launch.missing()}; pip install -e '.[mpi]' brings it")
def test_a_run_that_fails_is_an_error():
    with pytest.raises(SystemExit, match=r"error: mpiexec -n 1 ended with exit code 3; "):
        launch.run(1, ["-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--global-batch", "1023"], "--global-batch"), (["--latency", "0"], "--latency"), ([], "starts mpiexec itself")],
)
def test_wrong_values_and_ranks_are_refused(options, words, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(SystemExit) as caught:
        demo.main([*options, "--out", str(tmp_path)])
    assert words in capsys.readouterr().err or words in str(caught.value.code)
