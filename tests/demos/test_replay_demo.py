import copy
from itertools import count

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import Tensor, detect_anomaly, functional as F, manual_seed, nn, no_grad, optim

rng = np.random.default_rng(0)
normal = lambda *shape: lambda: rng.normal(size=shape).astype(np.float32)
labels = lambda n, *shape: lambda: rng.integers(0, n, shape)
rows = normal(4, 3)
images = normal(2, 3, 4, 4)
LAYERS = {  # each with what it takes
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(3), images),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), images),
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3, padding=1), normal(2, 3, 5)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3), images),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), images),
    "ELU": (nn.ELU, rows),
    "Embedding": (lambda: nn.Embedding(7, 3, padding_idx=0), labels(7, 2, 4)),
    "Flatten": (nn.Flatten, images),
    "GELU": (nn.GELU, rows),
    "GRU": (lambda: nn.GRU(3, 4), normal(5, 2, 3)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), rows),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), normal(3, 4, 2)),
    "Identity": (nn.Identity, rows),
    "LSTM": (lambda: nn.LSTM(3, 4, 2, bidirectional=True), normal(5, 2, 3)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), rows),
    "LayerNorm": (lambda: nn.LayerNorm(3), rows),
    "LeakyReLU": (nn.LeakyReLU, rows),
    "Linear": (lambda: nn.Linear(3, 4), rows),
    "LogSoftmax": (nn.LogSoftmax, rows),
    "MLP": (lambda: nn.MLP([3, 4, 2]), rows),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), images),
    "Maxout": (lambda: nn.Maxout(3, 4, 2), rows),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), normal(3, 2, 4)),
    "PReLU": (nn.PReLU, rows),
    "RMSNorm": (lambda: nn.RMSNorm(3), rows),
    "RNN": (lambda: nn.RNN(3, 4, batch_first=True), normal(2, 5, 3)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), rows),
    "ReLU": (nn.ReLU, rows),
    "Residual": (lambda: nn.Residual(nn.Linear(3, 3)), rows),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh()), rows),
    "SiLU": (nn.SiLU, rows),
    "Sigmoid": (nn.Sigmoid, rows),
    "Softmax": (nn.Softmax, rows),
    "Softplus": (nn.Softplus, rows),
    "Tanh": (nn.Tanh, rows),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), images),
}
REFUSED = {  # with the reason
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), rows, "num_batches_tracked`: add writes into an array"),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), images, "num_batches_tracked`: add writes into an array"),
    "Dropout": (nn.Dropout, rows, "draws random numbers"),
}
shares = lambda: rng.dirichlet(np.ones(3), 4).astype(np.float32)
LOSSES = {  # each with its targets, and what makes its input of logits
    "BCELoss": (nn.BCELoss, shares, F.sigmoid),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0, 3.0]), labels(2, 4, 3), None),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss([1.0, 2.0, 3.0], label_smoothing=0.1), labels(3, 4), None),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, lambda: rng.choice([-1, 1], (4, 3)), None),
    "HuberLoss": (nn.HuberLoss, rows, None),
    "KLDivLoss": (nn.KLDivLoss, shares, F.log_softmax),
    "L1Loss": (nn.L1Loss, rows, None),
    "MSELoss": (nn.MSELoss, rows, None),
    "MultiMarginLoss": (nn.MultiMarginLoss, labels(3, 4), None),
    "NLLLoss": (nn.NLLLoss, labels(3, 4), F.log_softmax),
    "SmoothL1Loss": (nn.SmoothL1Loss, rows, None),
}
NO_LAYERS = {"Module", "ModuleDict", "ModuleList", "init", "load", "load_metadata", "save", "summary"}


@pytest.fixture(scope="module")
def demo():
    return import_demo("replay")


class Net(nn.Module):
    """A layer with a parameter in front of it, so that a gradient goes back through it, and a loss."""

    def __init__(self, layer, shape, loss=None):
        self.scale = Tensor(np.ones(shape, np.float32))
        self.layer, self.loss = layer, loss

    def forward(self, x):
        x = x * self.scale if x.dtype.kind == "f" else x
        out = self.layer(x, x, x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        return out[0] if isinstance(out, tuple) else out


def agree(demo, model, loss, batches, change=lambda i, model: None, **options):
    """Replays steps, and holds each against one as usual of a copy of the model; returns the replay."""
    twin = copy.deepcopy(model)
    step = demo.Replay(lambda *batch: loss(model, *batch), model, optim.Adam(model.parameters()), **options)
    optimizer = optim.Adam(twin.parameters())
    for i, batch in enumerate(batches):
        change(i, model), change(i, twin)
        found = step(*batch)
        optimizer.zero_grad()
        usual = loss(twin, *batch)
        usual.backward()
        optimizer.step()
        assert found == pytest.approx(usual.item(), rel=1e-6)
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            assert p.grad is None or p.grad == pytest.approx(q.grad, rel=1e-6, abs=1e-6)
    return step


def runs(step):
    return [recording.runs for recording in step.recordings.values()]


def squares(model, x):
    return (model(x) ** 2).sum()


def classify(model, x, y):
    return F.cross_entropy(model(x), y)


def digits(n=4):
    return rows() if n == 4 else normal(n, 3)(), labels(2, n)()


def test_every_layer_is_in_a_table():
    assert LAYERS.keys() | REFUSED.keys() | LOSSES.keys() | NO_LAYERS == set(nn.__all__)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_replayed(demo, name):
    make, draw = LAYERS[name]
    manual_seed(0)
    model = Net(make(), draw().shape)
    assert runs(agree(demo, model, squares, [(draw(),) for _ in range(4)])) == [4]


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_is_refused_with_the_reason_and_replayed_in_evaluation(demo, name):
    make, draw, reason = REFUSED[name]
    model = Net(make(), draw().shape)
    before = model.state_dict()
    with pytest.raises(RuntimeError, match=reason):
        agree(demo, model, squares, [(draw(),)])
    assert all(type(p.data) is np.ndarray for p in model.parameters()) and model.state_dict().keys() == before.keys()
    assert runs(agree(demo, model.eval(), squares, [(draw(),) for _ in range(4)])) == [4]


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_replayed(demo, name):
    make, draw, before = LOSSES[name]
    model = Net(nn.Linear(3, 3), (4, 3), make())
    loss = lambda model, x, y: model.loss(before(model(x)) if before else model(x), y)
    assert runs(agree(demo, model, loss, [(rows(), draw()) for _ in range(4)])) == [4]


def test_what_is_listed_is_what_runs(demo):
    step, batch = demo.classifier([4, 3, 2], 5, np.random.default_rng(0))
    step(*batch)
    lines = step.listing().splitlines()
    assert lines[1].strip() == "v0 = linear(x, model_0_weight, model_0_bias)"
    assert lines[-1].strip().startswith("return v") and any("linear_to_weight(" in line for line in lines)


def test_a_ragged_batch_has_a_recording_of_its_own(demo):
    step = agree(demo, nn.MLP([3, 5, 2]), classify, [digits(4), digits(4), digits(1), digits(4), digits(1)])
    assert runs(step) == [3, 2] or sorted(runs(step)) == [2, 3]


def test_attributes_and_flags_are_recorded_anew(demo):
    model = nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(), nn.Linear(5, 2), nn.Dropout()).eval()

    def change(i, model):
        model[1].negative_slope = 0.01 if i < 3 else 0.5
        model[0].weight.requires_grad = i < 6

    assert runs(agree(demo, model, classify, [digits() for _ in range(9)], change)) == [3]
    with pytest.raises(RuntimeError, match="draws random numbers"):
        agree(demo, model, classify, [digits() for _ in range(4)], lambda i, model: model.train(i == 3))


def test_two_inputs_and_a_weight_assigned_between_steps(demo):
    model = nn.Linear(3, 2)
    loss = lambda model, x, z, y: classify(model, x * np.tanh(z), y)
    change = lambda i, model: model.weight.assign(model.weight.data * 0.5) if i == 3 else None
    assert runs(agree(demo, model, loss, [(rows(), *digits()) for _ in range(5)], change)) == [5]


def test_a_branch_is_asked_for_again(demo):
    loss = lambda model, x: squares(model, x) if x.max() < 10 else squares(model, x) * 2.0
    batches = [(rows(),), (rows(),), (rows() + 20,), (rows(),)]
    assert runs(agree(demo, nn.Linear(3, 2), loss, batches)) == [1]


def test_a_shape_is_asked_for_again(demo):
    mean = lambda model, x: squares(model, kept := x[x[:, 0] > 0]) / len(kept)
    batches = [(np.array(column, np.float32)[:, None] * [1, 1, 1],) for column in ([1, 2, -1], [3, 1, -2], [1, -1, -1])]
    assert runs(agree(demo, nn.Linear(3, 2), mean, [(x.astype(np.float32),) for (x,) in batches])) == [1]


def test_gradients_are_nobody_elses(demo):
    model = nn.ModuleDict({"one": nn.Linear(3, 2, bias=False), "two": nn.Linear(3, 2, bias=False)})
    loss = lambda x: ((model["one"].weight + model["two"].weight) @ x.T).sum()
    step = demo.Replay(loss, model, optim.SGD(model.parameters()))
    for _ in range(3):
        step(rows())
    first, second = [p.grad for p in model.parameters()]
    assert not np.may_share_memory(first, second) and first.flags.writeable and second.flags.writeable


def test_wrong_labels_are_found_in_a_replay(demo):
    step = demo.Replay(
        lambda x, y: F.cross_entropy(model(x), y), model := nn.Linear(3, 2), optim.SGD(model.parameters())
    )
    for _ in range(3):
        step(*digits())
    for label in (-1, 2):
        with pytest.raises(ValueError, match="labels run from"):
            step(rows(), np.full(4, label))
    step(*digits())


def keeps(model, x):
    model.seen = model(x)
    return model.seen.sum()


def hooked(model, x):
    out = model(x)
    out.register_hook(lambda g: g * 2)
    return out.sum()


def assigns(model, x):
    model.bias.assign(0.0)
    return (x @ model.weight.T).sum()


other = Tensor([1.0])
draws = np.random.default_rng(0)
REASONS = {
    "an if": (lambda model, x: loss * 2 if (loss := squares(model, x)).item() > 1 else loss, "item.*values were asked"),
    "float": (lambda model, x: squares(model, x) * float(x[0, 0]), "values were asked"),
    "argmax": (lambda model, x: model(x)[int(x[0].argmax())].sum(), "values were asked"),
    "numpy": (lambda model, x: squares(model, x) * model.weight.numpy().max(), "values were asked"),
    "asarray": (lambda model, x: squares(model, x) * np.asarray(x).max(), "values were asked"),
    "a text": (lambda model, x: squares(model, x) * len(f"{x[0, 0]:.3f}"), "values were asked"),
    "detach": (lambda model, x: (model(x) - model(x).detach()).sum(), "values were asked"),
    "Tensor": (lambda model, x: squares(model, Tensor(x)), "values were asked"),
    "writing": (lambda model, x: squares(model, np.add(x, 1, out=x)), "writes into an array"),
    "an element": (lambda model, x: x.__setitem__(0, 1) or squares(model, x), "writes into it"),
    "numpy.random": (
        lambda model, x: (model(x) * (np.random.rand(4, 2) < 0.5)).sum(),  # noqa: NPY002
        "array constant.* other values",
    ),
    "a generator": (lambda model, x: (model(x) * draws.random((4, 2))).sum(), "array constant.* other values"),
    "dropout": (lambda model, x: F.dropout(model(x)).sum(), "draws random numbers"),
    "an attribute": (keeps, "sets Linear.seen"),
    "a hook": (hooked, "hooks"),
    "assign": (assigns, "assigns to a parameter"),
    "assign and use": (lambda model, x: squares(model, x) if model.bias.assign(0.0) is not None else x, "assigns to a"),
    "another Tensor": (lambda model, x: squares(model, x) * other.sum(), "is no parameter"),
    "grad inside": (lambda model, x: squares(model, x) + (model(x).sum().backward() or 0.0), "calls backward"),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_the_list_would_not_know_is_refused(demo, name):
    loss, reason = REASONS[name]
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match=reason):
        agree(demo, model, loss, [(rows(),) for _ in range(2)])
    assert all(type(p.data) is np.ndarray for p in model.parameters())


def test_a_number_that_changes_unseen_is_found_by_the_next_check(demo):
    steps, model = count(), nn.Linear(3, 2)
    scale = lambda: 1.0 if next(steps) < 6 else 2.0
    step = demo.Replay(lambda x: squares(model, x) * scale(), model, optim.SGD(model.parameters(), 1e-3), check_every=5)
    for _ in range(5):
        step(rows())
    next(steps), next(steps)
    with pytest.raises(RuntimeError, match=r"`v\d = multiply\(v\d, 1.0\)` would be `v\d = multiply\(v\d, 2.0\)`"):
        step(rows())
    assert not step.recordings


def test_a_branch_at_every_step_gains_nothing(demo):
    model, turns = nn.Linear(3, 2), count()
    step = demo.Replay(
        lambda x: squares(model, x) * (2.0 if x.max() > 10 else 1.0), model, optim.SGD(model.parameters())
    )
    with pytest.raises(RuntimeError, match="nothing is gained"):
        for _ in range(20):
            step(rows() + 20 * (next(turns) % 2))


def test_what_is_no_array_or_no_loss_is_refused(demo):
    model = nn.Linear(3, 2)
    step = demo.Replay(lambda x: squares(model, x), model, optim.SGD(model.parameters()))
    with pytest.raises(TypeError, match="a step takes arrays, not"):
        step(3)
    with pytest.raises(ValueError, match="only a single number"):
        demo.Replay(model, model, step.optimizer)(rows())


def test_blocks_of_the_engine_take_the_step_as_usual(demo):
    model = nn.Linear(3, 2)
    step = demo.Replay(lambda x: squares(model, x) / x.sum(), model, optim.SGD(model.parameters()))
    with detect_anomaly(), pytest.raises(FloatingPointError, match="divide made"):
        step(np.zeros((4, 3), np.float32))
    with no_grad(), pytest.raises(RuntimeError, match="nothing requires a gradient"):
        step(rows())


def test_what_is_printed_and_drawn(demo, tmp_path, capsys, undrawn):
    demo.main(["--out", str(tmp_path), "--widths", "2", "4", "--blocks", "1", "--batch-size", "2"])
    printed = capsys.readouterr().out
    assert "def step(x, y, model_0_weight" in printed and "dropout: cannot record a step that draws" in printed
    assert "if loss.item() > 1: cannot record a step at `" in printed and "width  as usual  replay  saved" in printed
    assert [path.name for path in tmp_path.glob("replay*")] == ["replay.png"]
