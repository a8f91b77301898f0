import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, gradcheck, manual_seed, nn, optim
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.nn.activations import ACTIVATIONS
from tinygrad_edu.training import accuracy

RNG = np.random.default_rng


def test_sequential_is_a_sequence():
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)]
    model = nn.Sequential(*layers, layers[1])
    assert len(model) == 4
    assert list(model) == [*layers, layers[1]]
    assert model[0] is layers[0]
    assert model[-1] is layers[1]
    assert list(model[1:3]) == layers[1:]
    assert type(nn.MLP([2, 2, 2])[:2]) is nn.Sequential
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(IndexError):
        model[4]
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model(x).data, layers[2](layers[1](layers[0](x))).relu().data)
    assert nn.Sequential()(3) == 3


def test_append_returns_the_module():
    model = nn.Sequential()
    assert model.append(nn.Linear(2, 3)).append(nn.Tanh()) is model
    assert repr(model[1]) == "Tanh()" and list(model.state_dict()) == ["0.weight", "0.bias"]


def test_append_after_a_removal_replaces_no_layer():
    model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Linear(2, 3))
    last = model[2]
    delattr(model, "1")
    assert list(model.append(nn.Sigmoid()))[1] is last
    assert list(model.state_dict()) == ["2.weight", "2.bias"] and repr(model[2]) == "Sigmoid()"


def test_sequential_takes_names():
    model = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), bend=nn.Tanh(), out=nn.Linear(3, 1)))
    assert list(model.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert model.hidden is model[0] and model[-1] is model.out and len(model) == 3
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(model(x).data, model.out(model.hidden(x).tanh()).data)
    assert list(model[1:].state_dict()) == ["out.weight", "out.bias"]
    assert repr(model.append(nn.ReLU())).splitlines()[-2] == "  (3): ReLU()"
    assert len(nn.Sequential({})) == 0 and nn.Residual({"a": nn.Linear(2, 2)})(x).shape == (4, 2)
    assert "hidden" in model.summary((2,))


def test_a_module_that_is_assigned_is_a_layer_too():
    model = nn.Sequential(nn.Linear(2, 3))
    model.head = nn.Linear(3, 1)
    assert list(model) == [model[0], model.head] and model(np.ones((5, 2), np.float32)).shape == (5, 1)


def lengths(container):
    """Names and first dimensions of the Linear layers, in order."""
    return [(key, value.shape[0]) for key, value in container.state_dict().items()]


CHANGES = {  # what is done with a list of modules, places as numbers from 0 to 3
    "append": lambda c, new, i, j: c.append(new()),
    "extend": lambda c, new, i, j: c.extend([new(), new()]),
    "insert": lambda c, new, i, j: c.insert(min(i, len(c)), new()),
    "assign": lambda c, new, i, j: c.__setitem__(i % len(c), new()),
    "assign from the end": lambda c, new, i, j: c.__setitem__(-1 - i % len(c), new()),
    "delete": lambda c, new, i, j: c.__delitem__(i % len(c) - len(c)),
    "delete slice": lambda c, new, i, j: c.__delitem__(slice(i, i + j)),
    "pop": lambda c, new, i, j: c.pop(i % len(c)),
    "add in place": lambda c, new, i, j: c.__iadd__(type(c)() + type(c)()),
}


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["Sequential", "ModuleList"]),
    changes=st.lists(st.tuples(st.sampled_from(list(CHANGES)), st.integers(0, 3), st.integers(0, 2)), max_size=8),
    cut=st.slices(4),
)
def test_lists_of_modules_have_pytorchs_keys_after_any_changes(kind, changes, cut):
    torch = pytest.importorskip("torch")
    found = []
    for library in (nn, torch.nn):
        container, sizes = getattr(library, kind)(), iter(range(1, 100))

        def new(library=library, sizes=sizes):
            return library.Linear(1, next(sizes), bias=False)

        for change, i, j in [("extend", 0, 0), *changes]:
            if len(container) or change in ("append", "extend"):
                CHANGES[change](container, new, i, j)
        whole = container + getattr(library, kind)(*[[new()]] if kind == "ModuleList" else [new()])
        found.append([lengths(part) for part in (container, container[cut], whole)])
    assert found[0] == found[1]


def test_named_layers_are_numbered_by_a_deletion_as_in_pytorch():
    torch = pytest.importorskip("torch")
    found = []
    for library in (nn, torch.nn):
        model = library.Sequential(OrderedDict(a=library.Linear(1, 2), b=library.Linear(2, 3), c=library.Linear(3, 4)))
        model[1] = library.Linear(2, 5)
        found.append([list(model.state_dict())])
        del model[0]
        found[-1] += [list(model.state_dict()), list((model + model).state_dict())]
    assert found[0] == found[1]


def test_insert_numbers_layers_with_names():
    a, b, c = nn.Linear(1, 2), nn.Linear(2, 3), nn.ReLU()
    model = nn.Sequential({"a": a, "b": b})
    assert model.insert(1, c) is model and list(model) == [a, c, b]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_list_of_modules():
    class Net(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.Linear(2, 2, rng=RNG(i)) for i in range(3)])

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)
            return x

    net = Net()
    assert [name for name, _ in net.named_parameters()][:2] == ["layers.0.weight", "layers.0.bias"]
    assert net.layers[-1] in net.layers and nn.ReLU() not in net.layers and nn.ModuleList() is not None
    assert type(net.layers[::2]) is nn.ModuleList and list(net.layers[::2]) == [net.layers[0], net.layers[2]]
    assert net.layers.pop() and len(net.layers) == 2 and net.layers[np.int64(1)] is net.layers[1]
    extra = net.layers
    extra += (nn.Linear(2, 2) for _ in range(2))
    assert extra is net.layers and len(net.layers) == 4 and len(net.layers.extend(net.layers)) == 8
    net(np.ones((1, 2), np.float32)).sum().backward()
    assert all(p.grad is not None for p in net.parameters()) and "layers.3" in net.summary((2,))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net.layers))):
        assert len(getattr(twin, "layers", twin)) == 8
    assert not net.eval().layers[0].training


def test_modules_by_name():
    first = nn.Linear(2, 3)
    modules = nn.ModuleDict({"a": first, "b": nn.ReLU()})
    assert list(modules) == list(modules.keys()) == ["a", "b"] and list(modules.values()) == [first, modules["b"]]
    assert dict(modules.items())["a"] is first and "a" in modules and "c" not in modules and len(modules) == 2
    modules.update([("c", nn.Tanh()), ["a", nn.Linear(2, 4)]])
    modules.update(nn.ModuleDict({"d": first}))
    assert list(modules) == ["a", "b", "c", "d"] and modules["d"] is first
    assert lengths(modules)[::2] == [("a.weight", 4), ("d.weight", 3)]
    modules["b"] = nn.Sigmoid()
    del modules["c"]
    assert modules.pop("d") is first and "(a): Linear(" in repr(modules) and list(modules) == ["a", "b"]
    modules.clear()
    assert not len(modules) and not list(modules.parameters())


def test_names_travel_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    models = []
    for library in (nn, torch.nn):
        parts = {"x": library.Linear(2, 3), "list": library.ModuleList([library.Linear(1, 2), library.Linear(2, 1)])}
        models.append(library.Sequential(OrderedDict(body=library.ModuleDict(parts), head=library.Linear(4, 5))))
    ours, theirs = models
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()}, strict=True)
    assert ours.load_state_dict(theirs.state_dict(), strict=True) == ([], [])
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_a_refused_change_leaves_all_as_it_was():
    layers, modules = nn.ModuleList([nn.ReLU()]), nn.ModuleDict({"a": nn.ReLU()})
    for change in (
        lambda: layers.extend([nn.ReLU(), 3]),
        lambda: layers.insert(0, nn.ReLU),
        lambda: modules.update({"b": nn.ReLU(), "c": 3}),
    ):
        with pytest.raises(TypeError, match="not a Module"):
            change()
    assert len(layers) == len(modules) == 1


PAIR = nn.Sequential(nn.ReLU(), nn.Tanh())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: PAIR[2], IndexError, "Sequential: index 2 is out of range; it has modules 0 to 1"),
        (lambda: nn.Sequential(nn.ReLU())[3], IndexError, "index 3 is out of range; it has one module, number 0"),
        (lambda: nn.ModuleList()[0], IndexError, "ModuleList: index 0 is out of range; it has no modules"),
        (lambda: PAIR["0"], TypeError, r"index is '0'; it must be an integer or a slice; write model\[0\]"),
        (lambda: PAIR["fc"], TypeError, r"index is 'fc'; it must be an integer or a slice; write the attribute"),
        (lambda: PAIR[1.0], TypeError, "index is 1.0; it must be an integer or a slice$"),
        (lambda: PAIR.insert(3, nn.ReLU()), IndexError, "index 3 is out of range"),
        (lambda: PAIR.__setitem__(0, nn.ReLU), TypeError, r"layer 0 is .*write ReLU\(\)"),
        (lambda: PAIR.__setitem__(slice(1), nn.ReLU()), TypeError, "index is slice"),
        (lambda: PAIR.pop(5), IndexError, "index 5"),
        (lambda: PAIR.__add__([nn.ReLU()]), TypeError, r"Sequential \+ list: \+ joins two Sequentials; append it"),
        (lambda: PAIR + nn.Residual(nn.ReLU()), TypeError, r"Sequential \+ Residual: .*put it into a Sequential"),
        (lambda: nn.Residual(nn.ReLU()) + PAIR, TypeError, "its own forward would be lost"),
        (lambda: nn.Sequential({"a.b": nn.ReLU()}), ValueError, "Sequential: 'a.b' is no name of a module"),
        (lambda: nn.Sequential({"": nn.ReLU()}), ValueError, "'' is no name"),
        (lambda: nn.Sequential({"forward": nn.ReLU()}), ValueError, "the name 'forward' is taken"),
        (lambda: nn.Sequential({0: nn.ReLU()}), TypeError, "the name 0 is not a text; .* ModuleList"),
        (lambda: nn.Sequential({"a": nn.ReLU}), TypeError, r"Sequential: a is .*; write ReLU\(\)"),
        (lambda: nn.Sequential([nn.ReLU()]), TypeError, r"write Sequential\(\*layers\)"),
        (lambda: nn.ModuleList(nn.ReLU()), TypeError, "ModuleList: got ReLU.* takes a list of Modules"),
        (lambda: nn.ModuleList({"a": nn.ReLU()}), TypeError, "modules with names are a ModuleDict"),
        (lambda: nn.ModuleList([nn.ReLU(), 3]), TypeError, "ModuleList: layer 1 is 3, not a Module"),
        (lambda: nn.ModuleList([nn.ReLU()])(3), NotImplementedError, "call its modules, as in for layer in layers"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})(3), NotImplementedError, r"as in modules\[name\]\(x\)"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], KeyError, "ModuleDict has no 'b'; its names are a"),
        (lambda: nn.ModuleDict().pop("b"), KeyError, "its names are none"),
        (lambda: nn.ModuleDict().__delitem__("b"), KeyError, "has no 'b'"),
        (lambda: nn.ModuleDict({"keys": nn.ReLU()}), ValueError, "the name 'keys' is taken"),
        (lambda: nn.ModuleDict([nn.ReLU()]), TypeError, r"got \(ReLU\(\),\) in the place of a pair"),
        (lambda: nn.ModuleDict(3), TypeError, "ModuleDict: got 3; it takes a dict of Modules"),
        (lambda: nn.ModuleDict(a=nn.ReLU()), TypeError, "ModuleDict.* its arguments are: modules"),
    ],
)
def test_errors_of_lists_and_dicts(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_residual_adds_its_input():
    block = nn.Residual(nn.Linear(3, 4, rng=RNG(0)), nn.Tanh(), nn.Linear(4, 3, rng=RNG(1)))
    x = RNG(2).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_array_equal(block(x).data, x + block[:](x).data)
    block[2].weight.assign(0.0)
    np.testing.assert_allclose(block(x).data, x + block[2].bias.data, rtol=1e-6)


@pytest.mark.parametrize("n_out", [2, 1])
def test_residual_refuses_another_shape_even_one_that_broadcasts(n_out):
    with pytest.raises(ValueError, match=rf"made shape \(5, {n_out}\) of the input's \(5, 3\)"):
        nn.Residual(nn.Linear(3, n_out))(np.ones((5, 3), np.float32))


def first_and_last_gradient(block):
    rng = RNG(0)
    model = nn.Sequential(*[block(nn.Linear(8, 8, rng=rng), nn.Tanh()) for _ in range(40)])
    model(rng.standard_normal((16, 8)).astype(np.float32)).sum().backward()
    return [np.linalg.norm(model[i][0].weight.grad) for i in (0, -1)]


def test_gradients_pass_forty_residual_layers_and_vanish_without():
    first, last = first_and_last_gradient(nn.Sequential)
    assert first < 1e-8 * last
    first, last = first_and_last_gradient(nn.Residual)
    assert 0.1 < first / last < 10


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu", "prelu")])
@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.3}])
def test_mlp_gradients(activation, extras):
    model = nn.MLP([3, 4, 2], activation, rng=RNG(0), dtype=np.float64, **extras)
    x = RNG(1).standard_normal((5, 3))

    def f(x, *_):
        for dropout in [layer for layer in model if isinstance(layer, nn.Dropout)]:
            dropout.rng = RNG(2)
        return model(x)

    assert gradcheck(f, x, *model.parameters())


def test_mlp_has_the_layers_in_order():
    model = nn.MLP([4, 5, 6, 2], "gelu", batch_norm=True, dropout=0.1)
    hidden = [nn.Linear, nn.BatchNorm1d, nn.GELU, nn.Dropout]
    assert [type(layer) for layer in model] == [*hidden, *hidden, nn.Linear]
    assert [type(layer) for layer in nn.MLP([4, 2], batch_norm=True, dropout=0.1)] == [nn.Linear]
    assert [type(layer) for layer in nn.MLP((4, 3, 2), "tanh")] == [nn.Linear, nn.Tanh, nn.Linear]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_keeps_the_dtype(activation, dtype):
    model = nn.MLP([3, 4, 2], activation, batch_norm=True, dropout=0.5, dtype=dtype)
    out = model(np.ones((5, 3), dtype))
    out.sum().backward()
    assert {out.dtype, *(a.dtype for p in model.parameters() for a in (p, p.grad))} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("activation", "std"),
    [
        *[(name, (2 / 400) ** 0.5) for name in ("relu", "elu", "gelu", "silu", "softplus")],
        ("leaky_relu", (2 / 1.0001 / 400) ** 0.5),
        ("prelu", (2 / 1.0625 / 400) ** 0.5),
        ("tanh", 5 / 3 * (2 / 700) ** 0.5),
        *[(name, (2 / 700) ** 0.5) for name in ("sigmoid", "identity")],
    ],
)
def test_auto_init_suits_the_activation(activation, std):
    model = nn.MLP([400, 300, 10], activation, rng=RNG(0))
    assert model[0].weight.data.std() == pytest.approx(std, rel=0.02)
    assert not any(layer.bias.data.any() for layer in model[::2])


def test_seeds_repeat():
    models = [nn.MLP([4, 3, 2], rng=RNG(1)), nn.MLP([4, 3, 2], rng=RNG(1))]
    manual_seed(1)
    models.append(nn.MLP([4, 3, 2]))
    for a, b, c in zip(*[m.parameters() for m in models], strict=True):
        assert (a.data == b.data).all()
        assert (a.data == c.data).all()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MLP([784]), ValueError, "at least input and output"),
        (lambda: nn.MLP(784), ValueError, "at least input and output"),
        (lambda: nn.MLP([784, -1, 10]), ValueError, r"MLP: sizes\[1\] is -1; it must be an integer of at least 1"),
        (
            lambda: nn.MLP([2, 2], "swish"),
            ValueError,
            "MLP: activation is 'swish'; it must be 'identity', 'relu', .* or 'tanh'",
        ),
        (lambda: nn.MLP([2, 2], nn.ReLU), ValueError, "MLP: activation is .*ReLU"),
        (lambda: nn.MLP(np.int64(784)), ValueError, "at least input and output"),
        (lambda: nn.MLP(n for n in (2, 3)), ValueError, "at least input and output"),
        (lambda: nn.MLP([2, 2, 2], dropout=-0.5), ValueError, "MLP: dropout is -0.5"),
        (lambda: nn.MLP([2, 2], dropout=1.5), ValueError, "MLP: dropout is 1.5"),
        (lambda: nn.MLP([2, 2], rng=0), TypeError, "got 0; make one with default_rng"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU), TypeError, r"layer 1 .* write ReLU\(\)"),
        (lambda: nn.Sequential(np.tanh), TypeError, "layer 0 .* takes Modules"),
        (lambda: nn.Residual("relu"), TypeError, "Residual: layer 0 is 'relu'"),
        (lambda: nn.Sequential().append(None), TypeError, "layer 0 is None"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


@settings(max_examples=8)
@given(st.sampled_from(["ReLU", "Tanh", "Sigmoid", "GELU", "PReLU"]), st.booleans(), st.booleans())
def test_mlp_is_the_same_as_pytorchs_layers(activation, batch_norm, training):
    torch = pytest.importorskip("torch")
    ours = nn.MLP([5, 4, 3], activation.lower(), batch_norm=batch_norm, rng=RNG(0))
    hidden = [torch.nn.Linear(5, 4), *[torch.nn.BatchNorm1d(4)] * batch_norm, getattr(torch.nn, activation)()]
    theirs = torch.nn.Sequential(*hidden, torch.nn.Linear(4, 3))
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    for seed in range(3):
        x = RNG(seed).standard_normal((7, 5)).astype(np.float32)
        np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach(), ours(x).data, rtol=1e-4, atol=1e-5)
    ours.train(training), theirs.train(training)
    np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach(), ours(x).data, rtol=1e-4, atol=1e-5)

    other = nn.MLP([5, 4, 3], activation.lower(), batch_norm=batch_norm, rng=RNG(2))
    other.load_state_dict(theirs.state_dict())
    for key, array in other.state_dict().items():
        np.testing.assert_allclose(array, ours.state_dict()[key], rtol=1e-5, atol=1e-6)


def test_two_linear_layers_are_one():
    model = nn.MLP([4, 5, 3], "identity", rng=RNG(0), dtype=np.float64)
    first, _, second = model
    x = RNG(1).standard_normal((6, 4))
    single = x @ (second.weight.data @ first.weight.data).T
    np.testing.assert_allclose(model(x).data, single, rtol=1e-12, atol=1e-12)


def test_equal_weights_stay_equal():
    model = nn.MLP([3, 4, 1], "tanh", init=lambda w: nn.init.constant(w, 0.3), dtype=np.float64)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, y = RNG(0).standard_normal((8, 3)), RNG(1).standard_normal((8, 1))
    for _ in range(5):
        optimizer.zero_grad()
        nn.MSELoss()(model(x), y).backward()
        hidden = model[0].weight.grad  # (4, 3)
        assert hidden.any()
        np.testing.assert_allclose(hidden, np.broadcast_to(hidden[0], (4, 3)), rtol=1e-9)
        optimizer.step()
    np.testing.assert_allclose(model[0].weight.data[1:], model[0].weight.data[:-1], rtol=1e-9)


def train(seed, steps=60, **extras):
    """An MLP after training on 32 digits, with the losses."""
    images, labels = synthetic_digits(32, seed=0)[:2]
    x = images.reshape(32, 784).astype(np.float32) / 255
    manual_seed(seed)
    model, loss_of = nn.MLP([784, 32, 10], **extras), nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, accuracy(model.eval()(x), labels)


@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.2}, {"activation": "silu"}])
def test_a_small_batch_is_learned_by_heart(extras):
    _, losses, share = train(0, **extras)
    assert share == 1.0
    assert losses[-1] < 0.15 * losses[0]


@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.5}])
def test_training_repeats_with_a_seed(extras):
    runs = [train(1, 5, **extras), train(1, 5, **extras), train(2, 5, **extras)]
    (first, losses, _), (second, again, _), (_, other, _) = runs
    assert losses == again != other
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rng_serves_weights_and_dropout():
    x = np.ones((4, 3), np.float32)

    def run(seed):
        manual_seed(seed)
        model = nn.MLP([3, 50, 2], dropout=0.5, rng=RNG(9))
        return model(Tensor(x)).data

    np.testing.assert_array_equal(run(0), run(1))
