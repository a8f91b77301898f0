import copy
import pickle

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn, training
from tinygrad_edu.nn.summary import outputs, preserve_state
from tinygrad_edu.random import default_generator


class Probe(nn.Module):
    """Does to itself all that a module could do in its forward."""

    def __init__(self):
        self.running = np.zeros(2)
        self.rng = np.random.default_rng(3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.running += 1
        self.mode, self.output = self.training, x * Tensor(1.0)
        self.draw = self.rng.random() + default_generator().random()
        return self.output


def state_of(model):
    """All that a run may change, as plain values."""
    generators = [default_generator(), *[m.rng for m in model.modules() if hasattr(m, "rng")]]
    return (
        [list(vars(m).items()) for m in model.modules() if not isinstance(m, Probe)],
        [[(k, v) for k, v in vars(m).items() if k != "running"] for m in model.modules() if isinstance(m, Probe)],
        [b.tolist() for b in model.buffers()],
        [p.grad for p in model.parameters()],
        [g.bit_generator.state for g in generators],
    )


def test_a_table_with_shapes():
    model = nn.Sequential(nn.Flatten(), nn.MLP([784, 128, 64, 10]))
    assert model.summary((28, 28)).splitlines() == [
        "layer  class       output shape  parameters",
        "-------------------------------------------",
        "(all)  Sequential  (10,)                  0",
        "0      Flatten     (784,)                 0",
        "1      MLP         (10,)                  0",
        "1.0    Linear      (128,)           100,480",
        "1.1    ReLU        (128,)                 0",
        "1.2    Linear      (64,)              8,256",
        "1.3    ReLU        (64,)                  0",
        "1.4    Linear      (10,)                650",
        "-------------------------------------------",
        "109,386 parameters: 109,386 trainable, 0 frozen; 427.3 KiB",
        "activations of one example: 4.6 KiB",
        "training adds: gradients 427.3 KiB; Adam's moments 854.6 KiB",
    ]
    assert 4 * (784 + 2 * 128 + 2 * 64 + 10) == 4712  # bytes of what Flatten and the MLP's five layers return


def test_a_table_without_shapes():
    lines = nn.MLP([2, 3, 1]).summary().splitlines()
    assert lines[0] == "layer  class   parameters"
    assert lines[-2:] == [
        "13 parameters: 13 trainable, 0 frozen; 52 bytes",
        "training adds: gradients 52 bytes; Adam's moments 104 bytes",
    ]


def test_a_summary_is_a_text_that_shows_itself():
    table = nn.MLP([2, 3, 1]).summary()
    assert isinstance(table, str) and repr(table) == table
    for twin in (copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
        assert twin == table and twin._repr_html_() == table._repr_html_()
    page = table._repr_html_()
    assert page.count("<tr>") == 5 and "13 parameters: 13 trainable, 0 frozen" in page


def test_one_function_under_three_names():
    model = nn.Linear(2, 1)
    assert nn.summary is training.summary
    assert nn.summary(model, 2) == nn.summary(model, (2,)) == model.summary(2)


@pytest.mark.parametrize(
    ("sizes", "total"),
    [([784, 256, 128, 10], 235_146), ([784, 128, 64, 10], 109_386), ([784, 512, 256, 10], 535_818)],
)
def test_numbers_of_parameters(sizes, total):
    model = nn.MLP(sizes)
    assert sum(p.size for p in model.parameters()) == total
    assert f"{total:,} parameters: {total:,} trainable, 0 frozen" in model.summary()


def test_frozen_parameters_need_no_gradients():
    model = nn.Linear(2, 1)
    model.frozen = Tensor([1.0], requires_grad=False)
    model.output = model(np.ones((1, 2), np.float32))
    assert model.summary().splitlines()[-2:] == [
        "4 parameters: 3 trainable, 1 frozen; 20 bytes",
        "training adds: gradients 12 bytes; Adam's moments 24 bytes",
    ]
    for p in model.parameters():
        p.requires_grad = False
    assert model.summary().splitlines()[-1] == "4 parameters: 0 trainable, 4 frozen; 20 bytes"


def test_shared_modules_and_parameters_count_once():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    model.weight = shared.weight
    lines = model.summary(2).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["(all)", "0", "1"]
    assert [line.split()[-1] for line in lines[2:5]] == ["4", "2", "0"]
    assert lines[-3].startswith("6 parameters")
    assert "one example: 24 bytes" in lines[-2]  # three outputs of two float32


class Heads(nn.Module):
    def __init__(self):
        self.body, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        h = self.body(x)
        return {"a": h, "b": (h.relu(), x[:, :1])}


def test_several_outputs_and_modules_that_are_not_called():
    lines = Heads().summary(4).splitlines()
    assert [line.split("  ")[0] for line in lines[2:5]] == ["(all)", "body", "unused"]
    assert "(3,), (3,), (1,)" in lines[2]
    assert "not called" in lines[4]
    assert "one example: 28 bytes" in lines[-2]


class Embedding(nn.Module):
    def __init__(self):
        self.weight = Tensor(np.ones((7, 3)), dtype=np.float32)

    def forward(self, indices, x=None):
        rows = self.weight[indices]
        return rows if x is None else np.concatenate([rows.mean(axis=1), x], axis=-1)


def test_integer_inputs():
    model = nn.Sequential(Embedding(), nn.Linear(3, 2))
    before = state_of(model)
    for lines in (model.summary(5), model.summary((5,), dtype=int), model.summary(np.zeros((1, 5), int))):
        assert "(5, 3)" in lines.splitlines()[3]
        assert "(5, 2)" in lines.splitlines()[4]
        assert f"one example: {4 * (5 * 3 + 5 * 2)} bytes" in lines
    assert state_of(model) == before
    with pytest.raises(IndexError):
        model.summary(5, dtype=np.float32)


@pytest.mark.parametrize("inputs", [[(5,), 2], ((5,), (2,)), [np.zeros((4, 5), int), np.zeros((4, 2), np.float32)]])
def test_several_inputs_of_several_kinds(inputs):
    lines = Embedding().summary(inputs)
    assert "(5,)" in lines.splitlines()[2]
    assert "one example: 20 bytes" in lines


def test_batch_norm_without_statistics():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
    lines = model.summary(4).splitlines()
    assert ["(3,)" in line for line in lines[2:5]] == [True] * 3
    assert "one example: 24 bytes" in lines[-2]
    with pytest.raises(ValueError, match=r"got input of shape \(1, 5\)"):
        model.summary(5)


def test_a_shared_layer_shows_all_its_shapes():
    class Pyramid(nn.Module):
        def __init__(self):
            self.pool = nn.AvgPool2d(2)

        def forward(self, x):
            return self.pool(self.pool(self.pool(x)))

    lines = Pyramid().summary((1, 8, 8)).splitlines()
    assert "(1, 4, 4); (1, 2, 2); (1, 1, 1)" in lines[3]
    assert "one example: 84 bytes" in lines[-1]


@pytest.mark.parametrize("shape", ["3", (3.5,), [(2,), (-1,)], [None]])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises((TypeError, ValueError), match="summary: a length in input_shape is"):
        nn.Linear(3, 1).summary(shape)


def test_long_names_do_not_break_the_table():
    model = nn.Module()
    model.a_name_that_is_long = {"and": {"a_key_that_is_longer": nn.Linear(1, 1), "b": nn.ReLU()}}
    lines = model.summary().splitlines()
    assert lines[3].startswith("...that_is_long.and.a_key_that_is_longer  Linear")
    assert max(map(len, lines[:-2])) < 80
    assert len({len(line) for line in lines[:-2]}) == 1


def test_summary_leaves_no_trace():
    class Watched(Probe):
        def forward(self, x):
            modes.append((self.training, super().forward(x).requires_grad))
            return x

    modes = []
    model = nn.Sequential(nn.Linear(4, 2), Watched())
    model[0].eval()
    before = state_of(model)
    model.summary(4)
    assert modes == [(False, False)]
    assert state_of(model) == before
    with pytest.raises(ValueError, match="last axis"):
        model.summary((5,))
    assert state_of(model) == before


def test_outputs_sees_every_call_children_first():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    with outputs(model) as seen:
        out = model(np.ones((4, 2), np.float32))
        model[0](np.ones((5, 2), np.float32))
    assert [path for path, _, _ in seen] == ["0", "1.0", "1", "", "0"]
    assert [module for _, module, _ in seen] == [model[0], model[1][0], model[1], model, model[0]]
    assert seen[1].value is seen[2].value is seen[3].value is out
    assert seen[4].value.shape == (5, 3)
    model(np.ones((4, 2), np.float32))
    assert len(seen) == 5


def test_outputs_takes_its_hands_off_after_an_error_and_keeps_a_forward_of_the_users_own():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[1].forward = own = lambda x: x
    before = [dict(vars(m)) for m in model.modules()]
    with pytest.raises(ValueError, match="last axis"), outputs(model) as seen:
        model(np.ones((4, 3), np.float32))
    assert seen == []
    assert [dict(vars(m)) for m in model.modules()] == before
    with outputs(model), outputs(model) as inner:
        model(np.ones((4, 2), np.float32))
    assert len(inner) == 3
    assert vars(model[1])["forward"] is own
    assert "forward" not in vars(model)


def test_preserve_state_finds_generators_that_lie_deeper_and_beside_the_model():
    inner, beside = np.random.default_rng(0), np.random.default_rng(1)
    model = nn.Linear(1, 1)
    model.noise = lambda: inner.random()
    with preserve_state(model, [beside]):
        first = model.noise(), beside.random()
    assert (model.noise(), beside.random()) == first


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_preserve_state(error):
    model = nn.Sequential(nn.Linear(2, 2), Probe())
    model(np.ones((1, 2), np.float32)).sum().backward()
    before = state_of(model)
    try:
        with preserve_state(model):
            model.eval()
            model.zero_grad()
            model(np.ones((1, 2), np.float32)).sum().backward()
            model.extra = 1
            assert state_of(model) != before
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        assert error is not None
    assert state_of(model) == before
