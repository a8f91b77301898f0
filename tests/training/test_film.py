import base64
import gzip
import json
import re

import numpy as np
import pytest
from chromium import needs_chromium, run
from demo_runs import import_demo
from fit_runs import X, Y, assert_same_bits, loaders

from tinygrad_edu import data, functional as F, manual_seed, nn, optim
from tinygrad_edu.training import Film, fit
from tinygrad_edu.training.scenes import NOT_FINITE

moons = import_demo("moons").moons


def points_of(n=120, dtype=np.float32):
    points, labels = moons(n, 0.1, np.random.default_rng(0))
    return points.astype(dtype), labels


def film_of(model, x, y, loss, epochs=3, **options):
    film = Film(model, x, y, loss, **options)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    batches = data.DataLoader(x, y, 50, shuffle=True, seed=0)
    fit(model, batches, optimizer=optimizer, loss=loss, epochs=epochs, progress=False, callbacks=[film])
    return film


def data_of(film):
    """What the page holds, and the bytes of each snapshot."""
    found = json.loads(re.search(r'id="film">(.*?)</script>', film.html, re.S)[1])
    steps = np.frombuffer(gzip.decompress(base64.b64decode(found["packed"])), np.uint8)
    return found, np.cumsum(steps.reshape(len(found["epochs"]), -1), axis=0, dtype=np.uint8)


def test_fifty_epochs_of_moons():
    manual_seed(0)
    points, labels = points_of(200)
    model = nn.MLP([2, 16, 16, 2], activation="tanh")
    film = film_of(model, points, labels, nn.CrossEntropyLoss(), 50, title="<moons>")
    found, frames = data_of(film)
    assert len(film.html) < 300_000 and found["epochs"] == list(range(51)) and len(film) == 51
    region = found["region"]
    cells = frames[-1][: region["columns"] * region["rows"]].reshape(region["rows"], region["columns"]) // 128
    answers = model(points).data.argmax(axis=1)
    for (x, y, label), own, answer in zip(region["points"], labels, answers, strict=True):
        row, column = round(y * (region["rows"] - 1)), round(x * (region["columns"] - 1))
        assert label == own and (cells[row, column] == answer or 1 in abs(np.diff(cells[:, column])))
    assert "epoch 50: loss" in found["words"][-1] and f"{(answers == labels).mean():.1%}" in found["words"][-1]
    assert [label for label, _ in found["losses"]["lines"]] == ["on 200 examples", "training"]
    assert "&lt;moons&gt;" in film.html and "<moons>" not in film.html and "default-src 'none'" in film.html
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", film.html)) == {"http://www.w3.org/2000/svg"}


def test_a_film_changes_nothing():
    states = []
    for filmed in (True, False):
        manual_seed(3)
        model = nn.MLP([4, 8, 3], dropout=0.5, batch_norm=True)
        film = [Film(model, X, Y, nn.CrossEntropyLoss())] if filmed else []
        optimizer = optim.Adam(model.parameters())
        fit(model, loaders()[0], optimizer=optimizer, loss=nn.CrossEntropyLoss(), epochs=2, progress=False,
            validation=loaders()[1], callbacks=film)  # fmt: skip
        states.append(model.state_dict())
        assert model.training
    assert_same_bits(*states)


IMAGES = np.random.default_rng(0).normal(size=(30, 8, 8)).astype(np.float32)
LABELS = np.arange(30) % 3


@pytest.mark.parametrize(
    "model, x, y, kind, words",
    [
        (nn.MLP([2, 3]), X[:30, :2], LABELS, "region", "points?"),
        (nn.MLP([2, 3]), np.arange(60).reshape(30, 2) % 2, LABELS, "region", "points?"),
        (
            nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(8, 3)),
            np.ones((30, 2), int),
            LABELS,
            "weights",
            "indices",
        ),
        (nn.MLP([2, 4, 1]), X[:30, :2], X[:30, 2:3], "weights", "30 values and one output"),
        (nn.MLP([2, 7]), X[:30, :2], LABELS, "weights", "7 classes are more than there are colours"),
        (nn.MLP([5, 3]), np.ones((30, 5)), LABELS, "weights", r"shape \(5,\) are neither points"),
        (nn.MLP([64, 9, 3]), IMAGES.reshape(30, 64), LABELS, "images", "first layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), IMAGES, LABELS, "images", "first layer"),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3)),
            IMAGES[:, None],
            LABELS,
            "images",
            "first layer",
        ),
    ],
)
def test_what_is_shown(model, x, y, kind, words):
    film = Film(model, x, y, nn.MSELoss() if y.dtype.kind == "f" else nn.CrossEntropyLoss())
    film()
    found, frames = data_of(film)
    assert found["kind"] == kind and found[kind] and re.search(words, found["note"])
    assert (
        repr(film) == f"Film('How {type(model).__name__} learns, epoch by epoch', 2 snapshots, {kind}, up to epoch 1)"
    )
    if kind == "images":
        facts = found["images"]
        weight = next(model.parameters()).data.reshape(facts["count"], -1)
        shown = frames[0][: weight.size].reshape(weight.shape) / 8.0 - 1
        assert np.abs(shown * facts["scales"][0] - weight).max() <= 0.51 * facts["scales"][0] / 8


@pytest.mark.parametrize(
    "loss, values, boundary",
    [
        (nn.BCEWithLogitsLoss(), (0, 1), 0),
        (nn.BCELoss(), (0, 1), 0.5),
        (F.mse_loss, (0, 1), 0.5),
        (nn.MSELoss(), (-1, 1), 0),
        (lambda scores, y: (1 - (2 * y - 1) * scores).relu().mean(), (0, 1), 0),
    ],
)
def test_the_line_is_where_both_classes_are_equally_wrong(loss, values, boundary):
    points, labels = points_of()
    targets = np.array(values, np.float32)[labels][:, None]
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    film = Film(model, points, targets, loss)
    assert film.scene.boundary == boundary
    film()
    right = ((model(points).data > boundary) == (targets > boundary)).mean()
    assert f"{right:.1%} of them right" in data_of(film)[0]["words"][0]


def test_a_long_training_is_thinned_out_and_the_last_epoch_stays():
    model = nn.MLP([5, 3])
    film = Film(model, np.ones((20, 5)), LABELS[:20], nn.CrossEntropyLoss(), snapshots=5)
    for epoch in range(1, 24):
        film({"epoch": epoch})
        kept = [snapshot.epoch for snapshot in film.snapshots]
        assert len(kept) <= 5 and kept[0] == 0 and kept[-1] == epoch
    assert kept == [0, 8, 16, 23] and len(data_of(film)[0]["losses"]["epochs"]) == 24
    film({"epoch": 1})  # another call of fit counts from 1 again
    assert max(film.words) == 24


def test_what_is_not_finite_is_left_out():
    model = nn.MLP([2, 1])
    film = Film(model, X[:30, :2], LABELS[:30, None] % 2, lambda scores, y: (scores * np.inf).mean())
    film()
    found, shots = data_of(film)
    assert found["losses"]["lines"][0][1] == [None, None] and (shots[:, -1] == NOT_FINITE).all()
    assert film.words[1] == "epoch 1: loss nan on 30 examples" and "NaN" not in film.html.split("<script")[1]
    for points, note in ((X[:30] * np.nan, "features|neither"), (X[:30, :2] * np.nan, "not finite")):
        model = nn.MLP([points.shape[1], 3])
        film = Film(model, points, LABELS, nn.CrossEntropyLoss())
        next(model.parameters()).assign(np.nan)
        film()
        found, shots = data_of(film)
        assert (shots[:, found["weights"]["bins"]] == [0, NOT_FINITE]).all()
        assert re.search(note, found["note"]) and "NaN" not in film.html.split("<script")[1]


def test_a_film_is_saved_and_shows_itself(tmp_path):
    points, labels = points_of()
    film = Film(nn.MLP([2, 2]), points, labels, nn.CrossEntropyLoss())
    assert film._repr_html_() is None
    with pytest.raises(ValueError, match=r"no epoch to show.*callbacks=\[film\].*film\(\) after each epoch"):
        film.save(tmp_path / "film.html")
    film()
    assert film.save(tmp_path / "new" / "film.html").read_text(encoding="utf-8") == film.html
    assert "<iframe" in film._repr_html_() and "&lt;!DOCTYPE" in film._repr_html_()
    with pytest.raises(ValueError, match=r"Film.save: path.*film\.html"):
        film.save("")


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((nn.MLP, X, Y, F.cross_entropy), TypeError, r"Film: model must be of the class Module.*write MLP"),
        ((nn.MLP([4, 3]), X, Y, nn.CrossEntropyLoss), TypeError, r"write CrossEntropyLoss\(\)"),
        ((nn.MLP([4, 3]), X, Y[:5], F.cross_entropy), ValueError, r"137 examples, but y has shape \(5,\)"),
        ((nn.MLP([4, 3]), X[0], Y, F.cross_entropy), ValueError, r"shape \(4,\); a batch of inputs is needed"),
    ],
)
def test_wrong_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        Film(*arguments)


def test_callbacks_get_a_copy_of_each_record():
    model, seen = nn.MLP([4, 3]), []
    options = {"optimizer": optim.SGD(model.parameters(), lr=0.1), "loss": nn.CrossEntropyLoss(), "progress": False}
    history = fit(model, loaders()[0], epochs=2, callbacks=[seen.append, dict.clear], **options)
    assert seen == [{}, {}] or seen == [dict(record) for record in history]
    assert history["epoch"] == [1, 2]
    for wrong, words in ((print, r"give a list"), ([3], "function of an epoch's record"), ([Film], r"write Film\(")):
        with pytest.raises(TypeError, match=f"fit: callbacks.*{words}"):
            fit(model, loaders()[0], epochs=1, callbacks=wrong, **options)


@needs_chromium
@pytest.mark.parametrize("kind", ["region", "images", "weights"])
def test_the_page(kind, tmp_path):
    points, labels = points_of()
    if kind != "region":
        points = IMAGES.reshape(30, 64) if kind == "images" else IMAGES[:, 0, :5]
        labels = LABELS
    film = film_of(nn.MLP([points.shape[1], 3]), points, labels, nn.CrossEntropyLoss(), 6)
    found = run(
        film.html,
        """
        while (!bytes || slider.max != 6) await new Promise((done) => setTimeout(done, 20));
        const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        const canvas = $("picture").querySelector("canvas"), chart = $("loss").querySelector("svg[role]");
        const picture = () => (canvas ? canvas.toDataURL() : $("picture").innerHTML), before = picture();
        const seen = { phone: document.documentElement.scrollWidth <= innerWidth, first: state.step };
        press("End"); seen.last = state.step; seen.changed = picture() !== before;
        press("ArrowLeft"); seen.left = state.step;
        press("Home"); seen.home = state.step; seen.same = picture() === before;
        slider.value = 4; slider.dispatchEvent(new Event("input")); seen.slider = state.step;
        seen.spoken = $("spoken").textContent; seen.value = slider.getAttribute("aria-valuetext");
        const clientX = chart.getBoundingClientRect().right;
        chart.dispatchEvent(new MouseEvent("pointermove", { buttons: 1, clientX, clientY: 200 }));
        seen.dragged = state.step; go(0);
        const light = picture(); press("t"); press("t");
        seen.themes = [document.documentElement.dataset.theme, light !== picture() || !canvas];
        press(" "); seen.playing = state.timer !== null; press(" "); seen.paused = state.timer === null;
        $("count").textContent = "200 / 200"; seen.count = $("count").scrollWidth <= $("count").offsetWidth;
        seen.short = [2e30, -1234567, 0.00012, 0.025, 123000].map(short);
        seen.labels = [...document.querySelectorAll("[role=img]")].every((x) => x.getAttribute("aria-label"));
        return seen;
        """,
        tmp_path,
        size=(320 if kind == "region" else 390, 640),
    )
    words = data_of(film)[0]["words"][4]
    assert found == {
        "phone": True, "first": 0, "last": 6, "changed": True, "left": 5, "home": 0, "same": True, "slider": 4,
        "spoken": words, "value": words, "dragged": 6, "themes": ["dark", True], "playing": True, "paused": True,
        "labels": True, "count": True, "short": ["2e30", "−1.23e6", "1.2e−4", "0.025", "123000"],
    }  # fmt: skip
