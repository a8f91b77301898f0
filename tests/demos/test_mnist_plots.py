"""The options --plots and --baseline of demos/mnist_more.py."""

import re

import numpy as np
import pytest
from demo_runs import write_mnist

for package in ("matplotlib", "tqdm", "safetensors"):
    pytest.importorskip(package)

PICTURES = ["weights", "predictions", "mistakes", "confusion"]


@pytest.fixture
def train(more, folder, tmp_path, capsys):
    """Runs the demo on the small data and returns what it prints."""

    def run(*options, data=folder):
        more.main(["--data-dir", str(data), "--out", str(tmp_path), "--epochs", "2", *options])
        return capsys.readouterr().out

    return run


@pytest.fixture
def figures(more, monkeypatch):
    """The arguments of the pictures that are drawn, in order."""
    drawn = []
    for name in ("images", "table"):
        draw = getattr(more.plots, name)
        monkeypatch.setattr(more.plots, name, lambda *a, draw=draw, **k: drawn.append((a, k)) or draw(*a, **k))
    return drawn


def numbers(output):
    """The output without seconds."""
    return re.sub(r"time: .*|\d+\.\d\d$", "", output, flags=re.MULTILINE)


def test_pictures_and_baseline_come_after_the_run_and_leave_it_as_it_was(train, tmp_path):
    plain = train("--hidden", "16")
    assert not list(tmp_path.glob("mnist_*.png"))
    output = train("--hidden", "16", "--plots", "--baseline")
    assert numbers(output).startswith(numbers(plain))
    first, *rest = output[output.index("most confused") :].splitlines()[1:]
    assert re.fullmatch(r"softmax regression after epoch 2: \d\d\.\d\d%", first)
    paths = [tmp_path / f"mnist_{name}.png" for name in PICTURES]
    assert rest == [f"picture: {path}" for path in paths]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in paths)


@pytest.mark.usefixtures("undrawn")
def test_what_the_pictures_show(train, figures):
    output = train("--hidden", "50", "--plots")
    ((weights, _), signed), ((shown, titles), bars), ((mistakes, wrong), _), ((counts, *_), _) = figures
    assert weights.shape == (40, 28, 28) and signed["signed"]
    lengths = np.linalg.norm(weights.reshape(40, -1), axis=1)
    assert (np.diff(lengths) <= 0).all()
    assert len(shown) == len(titles) == 24 and bars["title"].startswith("MNIST: the first six images")
    assert [text.split(", read as ")[0] != text[-1] for text in titles[::2]] == list(bars["marks"][::2])
    confidence = [float(text.split("\n")[1].rstrip("%")) for text in wrong]
    assert len(mistakes) == len(wrong) and confidence == sorted(confidence, reverse=True)
    assert all(text[0] != text.split("\n")[0][-1] for text in wrong)
    accuracy = float(re.search(r"test accuracy: (.*)%", output)[1]) / 100
    assert np.trace(counts) / 200 == pytest.approx(accuracy) and np.sum(counts) == 200


@pytest.mark.usefixtures("undrawn")
def test_the_bars_are_the_probabilities(more, folder, tmp_path, monkeypatch):
    drawn = {}
    images = more.plots.images

    def spied(pictures, titles=None, **options):
        drawn[len(drawn)] = figure = images(pictures, titles, **options)
        return figure

    monkeypatch.setattr(more.plots, "images", spied)
    more.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", "--hidden", "--plots"])
    digits, bars = drawn[1].axes[::2], drawn[1].axes[1::2]
    assert len(digits) == len(bars) == 12 and all(len(axes.images) == 1 for axes in digits)
    for digit, axes in zip(digits, bars, strict=True):
        p = np.array([patch.get_width() for patch in axes.patches])
        assert p.shape == (10,) and p.sum() == pytest.approx(1, abs=1e-5)
        assert axes.get_title() == f"{p.max():.1%}" and digit.get_title()[-1] == str(p.argmax())


@pytest.mark.usefixtures("undrawn")
def test_softmax_regression_shows_a_template_of_each_digit(train, figures):
    train("--hidden", "--epochs", "1", "--plots")
    (weights, names), options = figures[0]
    assert weights.shape == (10, 28, 28) and names == list("0123456789") and "ten digits" in options["title"]


@pytest.mark.usefixtures("undrawn")
def test_without_mistakes_none_are_drawn(train, tmp_path):
    (tmp_path / "mnist_mistakes.png").touch()  # of another run
    labels = (np.arange(600) % 10).astype(np.uint8)
    images = np.zeros((600, 28, 28), np.uint8)
    images[np.arange(600), labels] = 255  # the label is the row that is white
    data = write_mnist(tmp_path / "rows", images, labels, images, labels)
    output = train("--hidden", "--lr", "0.1", "--plots", data=data)
    assert "test accuracy: 100.00%" in output and "mnist_mistakes.png" not in output
    assert not (tmp_path / "mnist_mistakes.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_baseline_learns_and_says_on_which_data(train):
    output = train("--hidden", "8", "--epochs", "20", "--baseline", "--dataset", "synthetic", "--batch-size", "5000")
    found = re.search(r"softmax regression after epoch 20: (.*)% \(synthetic digits\)\n\Z", output)
    assert float(found[1]) > 70


@pytest.mark.usefixtures("undrawn")
def test_the_baseline_has_the_epochs_of_a_run_that_stopped_early(more, train, monkeypatch):
    fit, epochs = more.fit, []
    monkeypatch.setattr(more, "fit", lambda *a, **k: epochs.append(k["epochs"]) or fit(*a, **k))
    output = train("--hidden", "--lr", "10", "--scheduler", "none", "--epochs", "30", "--patience", "1", "--baseline")
    last = int(re.findall(r"^ *(\d+)  ", output, flags=re.MULTILINE)[-1])
    assert "no lower val loss" in output and last < 30
    assert epochs == [last] and f"softmax regression after epoch {last}: " in output


def test_an_interrupted_run_goes_on_with_both(more, tmp_path):
    args = more.parse(["--out", str(tmp_path), "--plots", "--baseline"])
    assert more.going_on(args).endswith("--plots --baseline")
