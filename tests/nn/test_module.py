import abc
import copy
import inspect
import pathlib
import weakref
from contextlib import nullcontext

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn, no_grad


class Net(nn.Module):
    def __init__(self):
        self.layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
        self.heads = {"a": nn.Linear(3, 2, bias=False), "b": (Tensor([1.0, 2.0]),)}
        self._scale = Tensor(2.0, dtype=np.float32)
        self.running = np.zeros(3, np.float32)
        self.sizes = [2, 3, 1]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self._scale


def values(module):
    return {name: array.copy() for name, array in module.state_dict().items()}


def assert_same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_names_follow_attributes_lists_tuples_and_dicts():
    net = Net()
    own_first = ["heads.b.0", "_scale"]
    below = ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias", "heads.a.weight"]
    assert [name for name, _ in net.named_parameters()] == own_first + below
    assert [name for name, _ in net.named_buffers()] == ["running"]
    assert next(net.buffers()) is net.running
    assert list(net.state_dict()) == [*own_first, "running", *below]
    assert [name for name, _ in net.named_modules()] == ["", "layers.0", "layers.1", "layers.2", "heads.a"]
    assert [name for name, _ in net.named_children()] == ["layers.0", "layers.1", "layers.2", "heads.a"]
    assert list(net.children()) == list(net.modules())[1:]


def test_listings_are_iterators():
    net = Net()
    for listing in (net.parameters(), net.buffers(), net.modules(), net.children(), net.named_parameters()):
        assert iter(listing) is listing


def test_shared_objects_are_listed_once_but_saved_under_all_names():
    class Tied(nn.Module):
        def __init__(self):
            self.first = nn.Linear(2, 2)
            self.second = self.first
            self.weight = self.first.weight
            self.table = self.again = np.ones(2)

    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["weight", "first.bias"]
    assert [name for name, _ in tied.named_modules()] == ["", "first"]
    assert [name for name, _ in tied.named_children()] == ["first"]
    assert [name for name, _ in tied.named_buffers()] == ["table"]
    expected = ["weight", "table", "again", "first.weight", "first.bias", "second.weight", "second.bias"]
    assert list(tied.state_dict()) == expected
    assert tied.load_state_dict(tied.state_dict()) == ([], [])
    assert "6 parameters" in tied.summary()


def test_the_result_of_an_op_is_no_parameter_and_a_frozen_tensor_is():
    net = nn.Linear(2, 1)
    net.output = net(np.ones((1, 2), np.float32))
    net.frozen = Tensor([1.0], requires_grad=False)
    assert [name for name, _ in net.named_parameters()] == ["weight", "bias", "frozen"]
    assert "4 parameters: 3 trainable, 1 frozen" in net.summary()


def test_a_circle_is_an_error_that_names_it():
    parent, child = nn.Module(), nn.Module()
    parent.child, child.up = child, {"parent": parent}
    with pytest.raises(ValueError, match=r"child\.up\.parent leads back to the Module .* weakref"):
        list(parent.parameters())
    assert "..." in repr(parent)
    child.up = weakref.ref(parent)
    assert list(parent.modules()) == [parent, child]


def test_forward_is_needed():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty()(1)


def test_no_call_of_super_is_needed():
    assert Net().training
    assert Net()(np.ones((4, 2), np.float32)).dtype == np.float32


def test_train_and_eval_reach_all_and_return_the_module():
    net = Net()
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 5
    assert net.train() is net
    assert all(m.training for m in net.modules())
    net.layers[0].eval()
    assert [m.training for m in net.modules()] == [True, False, True, True, True]


def test_zero_grad():
    net = Net()
    net(np.ones((4, 2), np.float32)).sum().backward()
    assert net.layers[0].weight.grad is not None
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_apply_visits_children_before_parents():
    seen = []
    model = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
    assert model.apply(lambda m: seen.append(m)) is model
    assert seen == [model[0][0], model[0], model[1], model]


def test_state_dict_is_a_copy():
    net = nn.Linear(2, 3)
    state = net.state_dict()
    assert all(type(array) is np.ndarray and array.flags.c_contiguous for array in state.values())
    state["weight"][...] = 7
    assert not (net.weight.data == 7).any()


def test_load_state_dict_restores_values_dtype_identity_and_layout():
    net, other = Net(), Net()
    weight = net.layers[0].weight
    data, strides, running = weight.data, weight.data.strides, net.running
    state = {name: array.astype(np.float64) for name, array in other.state_dict().items()}
    state["running"] = [1, 2, 3]
    net.load_state_dict(state)
    assert net.layers[0].weight is weight
    assert weight.data is data
    assert weight.data.strides == strides
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight.data, other.layers[0].weight.data)
    assert net.running is running
    np.testing.assert_array_equal(running, [1, 2, 3])


def test_load_state_dict_takes_tensors():
    net, other = nn.Linear(2, 3), nn.Linear(2, 3)
    net.load_state_dict(dict(other.named_parameters()))
    assert_same(net.state_dict(), other.state_dict())


def test_backward_knows_of_load_state_dict():
    net = nn.Linear(2, 1)
    loss = net(np.ones((1, 2), np.float32)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="updated"):
        loss.backward()


def change(state, **new):
    return {**state, **{name.replace("__", "."): value for name, value in new.items()}}


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "running"}, KeyError, ["missing keys running"]),
        (lambda s: change(s, fc__weight=np.ones(2)), KeyError, ["unexpected keys fc.weight"]),
        (lambda s: change(s, running=np.ones(4)), ValueError, ["running", "(4,)", "(3,)"]),
        (lambda s: change(s, running=["a", "b", "c"]), ValueError, ["running holds <U1"]),
        (lambda s: change(s, _scale=None), ValueError, ["_scale holds object"]),
        (lambda s: change(s, _scale=1j), ValueError, ["_scale holds complex128"]),
        (
            lambda s: {"b": 1, "running": np.ones((3, 1)), "_scale": "2"},
            KeyError,
            [
                "layers.0.bias",
                "heads.a.weight",
                "unexpected keys b",
                "(3, 1)",
                "_scale holds <U1",
                "Nothing was loaded",
            ],
        ),
    ],
)
def test_load_state_dict_lists_all_problems_and_changes_nothing(spoil, error, words):
    net, other = Net(), Net()
    before = values(net)
    with pytest.raises(error) as caught:
        net.load_state_dict(spoil(other.state_dict()))
    for word in words:
        assert word in str(caught.value)
    assert_same(before, values(net))


@pytest.mark.parametrize("path", ["w.safetensors", pathlib.Path("w.safetensors")])
def test_load_state_dict_given_a_path_says_what_to_pass(path):
    with pytest.raises(TypeError, match=r"Net\.load_state_dict: .* got .*; for a file pass nn\.load\(.*w\.safe.*\)$"):
        Net().load_state_dict(path)
    with pytest.raises(TypeError, match=r"a mapping of names to arrays, got list$"):
        Net().load_state_dict([1.0])


def test_load_state_dict_into_a_read_only_buffer_changes_nothing():
    net = Net()
    net.running.flags.writeable = False
    before = values(net)
    with pytest.raises(ValueError, match="running is a read-only array"):
        net.load_state_dict(Net().state_dict())
    assert_same(before, values(net))


def test_values_that_overflow_change_nothing():
    net = Net()
    before = values(net)
    with pytest.raises(ValueError, match=r"heads\.a\.weight holds numbers in the state that are infinite as float32"):
        net.load_state_dict(change(Net().state_dict(), heads__a__weight=np.full((2, 3), 1e300)))
    assert_same(before, values(net))


def test_load_state_dict_without_strict_loads_what_fits_and_says_what_it_skipped():
    net, other = nn.Linear(2, 3), nn.Linear(2, 3)
    bias = net.bias.data.copy()
    keys = net.load_state_dict({"weight": other.weight.data, "scale": 1.0}, strict=False)
    assert keys.missing_keys == ["bias"]
    assert keys.unexpected_keys == ["scale"]
    np.testing.assert_array_equal(net.weight.data, other.weight.data)
    np.testing.assert_array_equal(net.bias.data, bias)
    with pytest.raises(ValueError, match="shape"):
        net.load_state_dict({"weight": np.ones(2)}, strict=False)


def test_deepcopy_is_independent_and_keeps_the_layout():
    net = Net()
    twin = copy.deepcopy(net)
    assert_same(net.state_dict(), twin.state_dict())
    assert twin.layers[0].weight.data.strides == net.layers[0].weight.data.strides
    twin.layers[0].weight.data += 1
    assert not np.array_equal(twin.layers[0].weight.data, net.layers[0].weight.data)


def test_repr_is_nested():
    net = Net()
    net.inner = nn.Sequential(nn.Tanh(), nn.Softmax())
    assert repr(net).splitlines() == [
        "Net(",
        "  (layers.0): Linear(in_features=2, out_features=3, bias=True)",
        "  (layers.1): ReLU()",
        "  (layers.2): Linear(in_features=3, out_features=1, bias=True)",
        "  (heads.a): Linear(in_features=3, out_features=2, bias=False)",
        "  (inner): Sequential(",
        "    (0): Tanh()",
        "    (1): Softmax(dim=-1)",
        "  )",
        ")",
    ]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("recording", [False, True])
def test_an_output_that_a_layer_keeps_is_no_parameter(frozen, recording):
    class Keeping(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 2)

        def forward(self, x):
            self.out = self.linear(x).relu()
            return self.out

    model = Keeping()
    for p in model.parameters():
        p.requires_grad = not frozen
    with nullcontext() if recording else no_grad():
        model(np.ones((1, 2), np.float32))
    assert [name for name, _ in model.named_parameters()] == ["linear.weight", "linear.bias"]
    Keeping().load_state_dict(model.state_dict())


def test_an_attribute_whose_name_begins_with_a_dot_keeps_its_path():
    model = nn.Module()
    setattr(model, ".a", nn.Linear(1, 1))
    assert [*model.state_dict()] == [".a.weight", ".a.bias"]


class Keeper(nn.Module):
    """Keeps its input in the ways of a student who wants to look at it afterwards."""

    def __init__(self, how):
        self.linear, self.how = nn.Linear(2, 1), how
        self.running, self.none, self.given, self.places = np.zeros(2), None, [], {}

    def forward(self, x):
        if self.how == "attribute":
            self.seen = x
        elif self.how == "none":
            self.none = x
        elif self.how == "list":
            self.given.append(x)
        elif self.how == "dict":
            self.places["x"] = x
        elif self.how == "tuple":
            self.pair = (x, 1)
        elif self.how == "child":
            self.linear.seen = x
        elif self.how == "buffer":
            self.running = x
        return self.linear(x if isinstance(x, Tensor) else x.reshape(1, 2))


@pytest.mark.parametrize("how", ["attribute", "none", "list", "dict", "tuple", "child", "buffer"])
@pytest.mark.parametrize("directly", [False, True])
def test_an_array_that_forward_keeps_stays_the_callers(how, directly):
    model, x = Keeper(how), np.array([1.0, 2.0])
    keys = [*model.state_dict()]
    model.forward(x) if directly else model(x)
    assert [*model.state_dict()] == keys == ["running", "linear.weight", "linear.bias"]
    assert [name for name, _ in copy.deepcopy(model).named_buffers()] == ["running"]
    model.load_state_dict(Keeper(how).state_dict())
    assert x.tolist() == [1, 2]
    assert model.running.tolist() == [0, 0]


@pytest.mark.parametrize("how", ["attribute", "none", "tuple", "child"])
def test_a_tensor_that_forward_is_given_and_keeps_is_no_parameter(how):
    model, x = Keeper(how), Tensor([[1.0, 2.0]])
    model(x).sum().backward()
    assert [name for name, _ in model.named_parameters()] == ["linear.weight", "linear.bias"]
    model.seen = Tensor([1.0])
    assert [name for name, _ in model.named_parameters()] == ["seen", "linear.weight", "linear.bias"]


def test_a_parameter_that_forward_makes_is_one():
    class Lazy(nn.Module):
        weight = None

        def forward(self, x):
            if self.weight is None:
                self.weight = Tensor(np.ones(x.shape[-1]))
                self.inner = nn.Linear(1, 1)
            return x @ self.weight

    model = Lazy()
    model(np.ones((1, 3)))
    assert [name for name, _ in model.named_parameters()] == ["weight", "inner.weight", "inner.bias"]


def test_buffers_are_declared_by_init_or_register_buffer():
    model, table = nn.Linear(1, 1), np.arange(3.0)
    model.register_buffer("table", table)
    model.register_buffer("later", None)
    assert [*model.state_dict()] == ["weight", "bias", "table"]
    model.later = table
    model.free = table
    assert "free" in model.state_dict()
    model.free[...] = 5
    model.table = model.table.sum()  # a NumPy scalar: it stays a buffer
    model.pair = (table + 1, 0)
    assert [*model.state_dict()] == ["weight", "bias", "table", "later", "free", "pair.0"]
    model.load_state_dict({**model.state_dict(), "later": np.zeros(3), "table": 7})
    assert model.table == 7
    assert model.later.tolist() == [0, 0, 0]
    assert table.tolist() == [0, 1, 2]
    for name, values, error in [("a.b", 1, ValueError), ("forward", 1, ValueError), ("x", Tensor(1.0), TypeError)]:
        with pytest.raises(error, match=r"Linear\.register_buffer"):
            model.register_buffer(name, values)


@pytest.mark.parametrize("recording", [False, True])
def test_the_result_of_an_op_does_not_replace_state_unseen(recording):
    model = nn.BatchNorm1d(2)
    with nullcontext() if recording else no_grad():
        with pytest.raises(TypeError, match=r"BatchNorm1d\.weight is a parameter.*weight\.assign"):
            model.weight = model.weight - 0.1 * np.ones(2)
        with pytest.raises(TypeError, match=r"running_mean is a buffer.*\.data"):
            model.running_mean = 0.9 * model.running_mean + model.weight
    assert len(model.state_dict()) == 5


def test_a_thousand_levels():
    model = nn.Linear(2, 2)
    for _ in range(1000):
        model = nn.Sequential(model)
    assert repr(model).count("Sequential") == 1000
    twin, seen = copy.deepcopy(model), []
    assert_same(twin.state_dict(), model.state_dict())
    assert not set(map(id, twin.modules())) & set(map(id, model.modules()))
    assert all(m.training for m in model.train().apply(seen.append).modules())
    assert len(seen) == len(list(model.modules())) == 1001
    assert "6 parameters" in model.summary()
    with pytest.raises(RecursionError, match=r"^Sequential: its modules nest deeper than .*setrecursionlimit"):
        model(np.ones((1, 2)))
    lists = [Tensor(1.0)]
    for _ in range(1000):
        lists = [lists]
    holder = nn.Module()
    holder.deep = lists
    assert len(list(holder.parameters())) == 1


@pytest.mark.parametrize("kind", [list, dict])
def test_a_list_that_contains_itself_is_named(kind):
    model = nn.Sequential(nn.ReLU())
    model.inner = loop = kind()
    if kind is list:
        loop.append((1, loop))
    else:
        loop[0] = (1, (loop,))[1:]
    for ask in (model.state_dict, model.eval, model.parameters, model.summary):
        with pytest.raises(ValueError, match=rf"inner\.0\..* leads back to the {kind.__name__} .*; take it out"):
            list(ask())
    assert repr(model) == "Sequential()"
    twin = copy.deepcopy(model)
    assert twin.inner is not loop
    assert twin.inner[0][-1] is twin.inner or twin.inner[0][-1][0] is twin.inner


def test_deepcopy_of_circles_slots_and_modules_with_a_copy_of_their_own():
    class Slotted(nn.Module):
        __slots__ = ("extra",)

    class Own(nn.Module):
        def __deepcopy__(self, memo):
            return "own"

    parent, child = nn.Module(), Slotted()
    parent.child, parent.again, parent.own, child.up, child.extra = child, child, Own(), parent, [1]
    twin = copy.deepcopy(parent)
    assert twin.child is twin.again is not child
    assert twin.child.up is twin
    assert twin.own == "own"
    assert twin.child.extra == [1]
    assert twin.child.extra is not child.extra


def collide(**attributes):
    model = nn.Module()
    for name, value in attributes.items():
        setattr(model, name.replace("__", "."), value)
    return model


@pytest.mark.parametrize(
    "model",
    [
        collide(d={1: Tensor(1.0), "1": Tensor(2.0)}),
        collide(d={True: Tensor(1.0), "True": Tensor(2.0)}),
        collide(d={1: nn.ReLU(), "1": nn.Tanh()}),
        collide(layers__0=Tensor(1.0), layers=[Tensor(2.0)]),
        collide(fc__weight=Tensor(1.0), fc=nn.Linear(1, 1)),
        collide(d={"a.b": nn.Linear(1, 1), "a": {"b": nn.Linear(1, 1)}}),
        nn.Sequential(collide(x=[Tensor(1.0)], x__0=Tensor(1.0))),
    ],
)
def test_names_that_collide_are_refused(model):
    for ask in (model.state_dict, model.named_parameters, lambda: model.load_state_dict({})):
        with pytest.raises(ValueError, match=r"two different things have the path .*rename"):
            list(ask())


def test_state_that_could_not_be_given_back_is_refused():
    model = collide(d={object(): Tensor(1.0)})
    with pytest.raises(ValueError, match=r"state_dict: d\.<object .* by an address"):
        model.state_dict()
    model = nn.Module()
    model.register_buffer("table", None)
    model.table = np.ma.array([1.0], mask=[True])
    with pytest.raises(ValueError, match="table is a masked array"):
        model.state_dict()


def test_load_state_dict_refuses_what_would_be_lost():
    model = collide(a=nn.Linear(1, 1))
    model.b = model.a
    state = model.state_dict()
    with pytest.raises(ValueError, match=r"a\.bias and b\.bias have different values .* one array"):
        model.load_state_dict({**state, "b.bias": state["b.bias"] + 1})
    norm = nn.BatchNorm1d(1)
    with pytest.raises(ValueError, match="num_batches_tracked holds numbers"):
        norm.load_state_dict({**norm.state_dict(), "num_batches_tracked": np.uint64(2**63)})
    with pytest.raises(KeyError, match="unexpected keys 1"):
        model.load_state_dict({**state, 1: 1})


@pytest.mark.parametrize(
    "cls", [getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)], ids=lambda c: c.__name__
)
def test_errors_of_construction_name_the_class(cls):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\(\) ") as caught:
        cls(ceil_mode=True)
    for name in inspect.signature(cls).parameters:
        assert name in str(caught.value)


def test_errors_of_calls_name_the_class():
    for module, words in [
        (
            nn.MLP([2, 1]),
            r"^MLP\.forward\(\) takes at most 1 argument by position, and got 2; its arguments are: input$",
        ),
        (nn.BatchNorm1d(2), r"^BatchNorm1d\.forward\(\) takes at most 1"),
        (nn.Residual(), r"^Residual\.forward\(\) takes at most 1"),
    ]:
        with pytest.raises(TypeError, match=words):
            module(np.ones((2, 2)), 1)

    class Outer(nn.Module):
        def forward(self, x):
            return len(x, 1)

    with pytest.raises(TypeError, match=r"^len\(\) takes exactly one"):
        Outer()(1)

    class Refusing(nn.Module):
        def __init__(self):
            raise TypeError("no") from KeyError("why")

    with pytest.raises(TypeError, match=r"^no$") as caught:
        Refusing()
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_module_may_be_an_abstract_class():
    class Base(nn.Module, abc.ABC):
        @abc.abstractmethod
        def forward(self, x): ...

    with pytest.raises(TypeError, match="abstract"):
        Base()
