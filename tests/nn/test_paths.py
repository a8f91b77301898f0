"""What a module holds: where it is found, what is refused because it would not be, and what cannot be loaded."""

import copy
import pickle
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn, optim

Pair = namedtuple("Pair", "a b")


@dataclass
class Parts:
    w: Tensor
    unset: int = field(init=False)


class Holder(nn.Module):
    def __init__(self, held=None):
        self.held = held

    def forward(self, x):
        return x


def ones():
    return Tensor(np.ones(2))


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda t: [t], "0"),
        (lambda t: (t,), "0"),
        (lambda t: {"k": t}, "k"),
        (lambda t: Pair(t, 1), "0"),
        (lambda t: deque([t]), "0"),
        (lambda t: UserList([t]), "0"),
        (lambda t: OrderedDict(k=t), "k"),
        (lambda t: defaultdict(list, k=[t]), "k.0"),
        (lambda t: UserDict(k=t), "k"),
        (lambda t: ChainMap({"k": t}), "k"),
        (lambda t: MappingProxyType({"k": t}), "k"),
        (lambda t: SimpleNamespace(k=t), "k"),
        (Parts, "w"),
        (lambda t: [{"a": deque([Parts(t)])}], "0.a.0.w"),
    ],
)
@pytest.mark.parametrize("make", [ones, lambda: nn.Linear(1, 2), lambda: np.ones(2)])
def test_containers_are_looked_into(wrap, path, make):
    inside = make()
    module = Holder(wrap(inside))
    kinds = {Tensor: module.named_parameters, np.ndarray: module.named_buffers}
    found = dict(kinds.get(type(inside), module.named_modules)())
    assert found[f"held.{path}"] is inside
    assert all(key.startswith(f"held.{path}") for key in module.state_dict())


class Shared(nn.Module):
    w = ones()


class SharedLayer(nn.Module):
    layer = nn.BatchNorm1d(2)


class Slot(nn.Module):
    __slots__ = ("w",)

    def __init__(self):
        self.w = ones()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Holder({ones()}), "held is a set"),
        (lambda: Holder(frozenset([nn.Linear(1, 1)])), "held is a frozenset"),
        (lambda: Holder(np.array([None, nn.Linear(1, 1)])), "held is a ndarray"),
        (Shared, "w belongs to the class Shared"),
        (SharedLayer, "layer belongs to the class SharedLayer"),
        (Slot, "w is a slot"),
    ],
)
def test_what_would_be_neither_trained_nor_saved_is_refused(make, words):
    with pytest.raises(TypeError, match=f"{words}.* or it would be neither trained nor saved"):
        make()


def test_what_is_found_elsewhere_or_has_no_state_may_stand_there():
    class Fine(nn.Module):
        loss = nn.MSELoss()

        def __init__(self):
            self.w = ones()
            self.frozen, self.names = {self.w}, {"w"}

    assert [path for path, _ in Fine().named_parameters()] == ["w"]


class Keeper(nn.Module):
    """A forward that keeps things in many places."""

    def __init__(self):
        self.layer, self.scales = nn.Linear(2, 2), [ones()]
        self.log, self.table, self.queue = [], {"w": ones()}, deque(maxlen=3)

    def forward(self, x):
        fresh = Tensor(np.zeros(2))
        self.log.append(fresh)
        self.log += [x, np.ones(2), self.layer(x), self.scales[0]]
        self.table.setdefault("seen", []).append(Tensor(1.0))
        self.queue.append(x)
        self.hidden = self.layer(x).detach()
        self.noise = Tensor(np.ones(2), requires_grad=False)
        return self.layer(x) * self.scales[0]


OWN = ["scales.0", "table.w", "layer.weight", "layer.bias"]


@pytest.mark.parametrize("x", [np.ones((1, 2)), Tensor(np.ones((1, 2)))])
def test_what_a_forward_keeps_is_not_state(x):
    module = Keeper()
    for _ in range(3):
        module(x)
    assert list(module.state_dict()) == OWN
    module.log.clear()
    module(x)
    assert list(module.state_dict()) == OWN
    module.log = [entry for entry in module.log if isinstance(entry, Tensor) and entry.is_leaf]
    module.scales.append(ones())  # outside of forward: a parameter
    module(x)
    assert "scales.1" in module.state_dict()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_know_what_is_not_state(duplicate):
    module = Keeper()
    module(Tensor(np.ones((1, 2))))
    module.log = [entry for entry in module.log if isinstance(entry, Tensor) and entry.is_leaf]
    module.log.pop()  # scales[0]
    twin = duplicate(module)
    assert [key for key in twin.state_dict() if key.startswith(("table", "queue"))] == ["table.w"]


def test_what_is_added_in_an_error_is_no_state_either():
    class Fails(Holder):
        def forward(self, x):
            self.held.append(Tensor(1.0))
            raise ArithmeticError

    module = Fails([])
    with pytest.raises(ArithmeticError):
        module(1)
    assert not module.state_dict()


def test_parameters_made_at_the_first_call_are_parameters():
    class Lazy(nn.Module):
        w = None

        def forward(self, x):
            if self.w is None:
                self.w = ones()
            return x * self.w

    module = Lazy()
    module(np.ones(2)), module(np.ones(2))
    assert list(module.state_dict()) == ["w"]


@pytest.mark.parametrize("value", [[[1.0]], 1.0, "w", nn.ReLU(), ones() * 2])
def test_a_parameter_is_not_replaced_by_what_is_not_saved(value):
    layer = nn.Linear(3, 2)
    with pytest.raises(TypeError, match=r"weight is a parameter, and .* neither be trained nor saved .* weight.assign"):
        layer.weight = value
    layer.weight, layer.bias = np.ones((2, 3)), None  # a constant from now on
    assert list(layer.state_dict()) == ["weight"] and not list(layer.parameters())


@pytest.mark.parametrize("value", [ones() * 2, [0.0, 0.0], "mean", nn.ReLU()])
def test_a_buffer_is_not_replaced_by_what_is_not_saved(value):
    norm = nn.BatchNorm1d(2)
    with pytest.raises(TypeError, match=r"BatchNorm1d.running_mean is a buffer, an array, and (a|the result)"):
        norm.running_mean = value
    norm.num_batches_tracked = 0
    assert norm.state_dict()["num_batches_tracked"] == 0
    norm.eval().running_mean = np.zeros(1)
    with pytest.raises(ValueError, match=r"running_mean has shape \(1,\); it must be \(2,\)"):
        norm(np.ones((4, 2)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ma.array(np.ones((2, 3)), mask=np.eye(2, 3)), "weight: some entries are masked"),
        ([np.ma.array([1.0, 2, 3], mask=[1, 0, 0]), [1.0, 2, 3]], "weight: some entries are masked"),
        ([[1, 2], [3]], "weight is not an array"),
        (np.full((2, 3), 1e300), "weight holds numbers in the state that are infinite as float32"),
        (np.ones((2, 3)) + 1j, "weight holds complex128"),
        (np.ones((2, 3), object), "weight holds object"),
        (np.ones(1), r"weight has shape \(1,\) in the state"),
        (None, r"weight has shape \(\)"),
    ],
)
def test_values_that_cannot_be_loaded(value, words):
    layer = nn.Linear(3, 2)
    before = layer.state_dict()
    with pytest.raises(ValueError, match=f"{words}.* Nothing was loaded"):
        layer.load_state_dict({"weight": value, "bias": np.zeros(2)})
    assert all(np.array_equal(before[key], value) for key, value in layer.state_dict().items())


def test_infinities_that_are_in_the_state_are_loaded():
    layer = nn.Linear(1, 2)
    layer.load_state_dict({"weight": [[np.inf], [np.nan]], "bias": np.float64([0, -np.inf])})
    np.testing.assert_array_equal(layer.bias.data, [0, -np.inf])


@pytest.mark.parametrize("wrong", ["eval", 0, None, 1])
def test_modes_are_true_or_false(wrong):
    layer = nn.Dropout()
    for call in (layer.train, lambda mode: setattr(layer, "training", mode)):
        with pytest.raises(TypeError, match="must be True or False"):
            call(wrong)
    with pytest.raises(TypeError, match=r"strict is .* must be True or False"):
        layer.load_state_dict({}, strict=wrong)
    layer.training = np.False_
    assert layer.training is False


@pytest.mark.parametrize("values", [object(), "text", ["a"], np.array([None])])
def test_a_registered_buffer_holds_numbers(values):
    with pytest.raises(TypeError, match=r"q is of dtype .*; a buffer holds numbers"):
        nn.ReLU().register_buffer("q", values)
    with pytest.raises(TypeError, match="q: some entries are masked"):
        nn.ReLU().register_buffer("q", np.ma.array([1.0, 2], mask=[1, 0]))


def test_a_forgotten_super_is_named():
    class Forgot(nn.Linear):
        def __init__(self):
            self.k = 1

    with pytest.raises(AttributeError, match=r"in_features'; does Forgot.__init__ call super\(\).__init__\(\.\.\.\)\?"):
        Forgot()(np.ones((1, 2)))
    with pytest.raises(AttributeError, match=r"has no attribute 'shap'$"):
        Holder()(np.ones(2)).shap  # noqa: B018


def test_tied_weights_keep_tied():
    class Tied(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
            self.b.weight = self.a.weight

    tied = Tied()
    assert len(list(tied.parameters())) == 3 and len(tied.state_dict()) == 4
    twin = copy.deepcopy(tied)
    assert twin.a.weight is twin.b.weight is not tied.a.weight
    optim.SGD(tied.parameters())
