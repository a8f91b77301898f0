"""What all optimizers share: groups of parameters, hyperparameters, errors, and the state to go on from."""

import copy
import json
import math

import numpy as np
import pytest
from gradients import with_grad

from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.functional import cross_entropy

KINDS = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW, optim.NAdam]
EVERY = pytest.mark.parametrize("optimizer", KINDS)
STATEFUL = pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
        (optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
        (optim.RMSprop, {"momentum": 0.5, "centered": True, "eps": 1e-3}),
        (optim.Adam, {"weight_decay": 0.01}),
        (optim.Adam, {"amsgrad": True, "maximize": True}),
        (optim.AdamW, {"betas": (0.5, 0.9)}),
        (optim.NAdam, {"momentum_decay": 0.1}),
    ],
)


def two_groups(optimizer, **settings):
    """A model of two Linear layers, float32, and an optimizer with one group for each."""
    model = nn.MLP([4, 6, 3], rng=np.random.default_rng(0))
    first, second = model[0].parameters(), model[2].parameters()
    return model, optimizer([{"params": first}, {"params": second, "lr": 0.02}], **settings)


def train(model, optimizer, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        x, labels = rng.standard_normal((8, 4)).astype(np.float32), rng.integers(0, 3, 8)
        optimizer.zero_grad()
        cross_entropy(model(x), labels).backward()
        optimizer.step()


def as_json(state):
    """The state after a journey through JSON, with the arrays, as lists, beside it."""
    arrays = {i: {k: v for k, v in e.items() if k != "step"} for i, e in state["state"].items()}
    rest = state | {"state": {i: {"step": e["step"]} for i, e in state["state"].items()}}
    rest = json.loads(json.dumps(rest, allow_nan=False))
    return rest | {"state": {i: e | arrays[int(i)] for i, e in rest["state"].items()}}


def assert_same(a, b):
    np.testing.assert_equal(a, b)
    assert json.dumps(a, default=np.ndarray.tolist) == json.dumps(b, default=np.ndarray.tolist)


@EVERY
def test_groups_have_every_hyperparameter_and_their_own_values(optimizer):
    a, b, c = (with_grad(np.ones(2, np.float32), [1.0, 1.0]) for _ in range(3))
    step = optimizer([{"params": [a]}, {"params": iter([b]), "lr": 0}, {"params": c, "weight_decay": 0.5}], lr=0.5)
    assert [list(group) for group in step.param_groups] == [["params", *step.defaults]] * 3
    assert [group["lr"] for group in step.param_groups] == [0.5, 0.0, 0.5]
    assert [p is q for p, q in zip(step.params, [a, b, c], strict=True)] == [True] * 3
    step.step()
    assert (a.data != 1).all()
    assert (b.data == 1).all()
    assert step.steps == [1, 1, 1]
    step.param_groups[1]["lr"] = np.float64(0.5)
    step.step()
    assert (b.data != 1).all()
    assert b.dtype == np.float32
    assert type(step.param_groups[1]["lr"]) is float


@EVERY
def test_add_param_group(optimizer):
    a, b = with_grad([1.0], [1.0]), with_grad(np.ones((3, 2)).T, np.ones((2, 3)))
    step = optimizer([a], lr=0.1)
    step.step()
    given = {"params": b, "lr": 0.2}
    step.add_param_group(given)
    assert given == {"params": b, "lr": 0.2}
    step.step()
    assert step.steps == [2, 1]
    alone = with_grad(np.ones((2, 3)), np.ones((2, 3)))
    optimizer([alone], lr=0.2).step()
    np.testing.assert_array_equal(b.data, alone.data)


@EVERY
def test_lr_is_that_of_the_first_group_and_sets_all(optimizer):
    p = with_grad(np.ones(2, np.float32), [1.0, 1.0])
    step = optimizer([{"params": [p]}, {"params": [Tensor(1.0)], "lr": 0.3}], weight_decay=0.0)
    step.lr = np.float64(0.5)
    assert [group["lr"] for group in step.param_groups] == [0.5, 0.5]
    assert step.lr == 0.5
    step.step()
    assert (p.data <= 0.5 + 1e-6).all()
    assert p.dtype == np.float32
    before = p.numpy()
    step.lr = 0
    step.step()
    np.testing.assert_array_equal(p.data, before)
    with pytest.raises(ValueError, match=f"{optimizer.__name__}: lr is -1"):
        step.lr = -1
    assert step.lr == 0


def test_momentum_may_be_switched_on_later():
    torch = pytest.importorskip("torch")
    p, q = Tensor([1.0, 2.0]), torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    a, b = optim.SGD([p], lr=0.1), torch.optim.SGD([q], lr=0.1)
    for n in range(6):
        p.grad, q.grad = np.array([n, 1.0]), torch.tensor([n, 1.0], dtype=torch.float64)
        for step in (a, b):
            step.param_groups[0]["momentum"] = 0.9 * (n > 2)
            step.step()
    np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda groups: groups[1].update(lr=-1), r"SGD, param_groups\[1\]: lr is -1"),
        (
            lambda groups: groups[1].update(learning_rate=0.1),
            r"SGD, param_groups\[1\]: .*learning_rate; it has params, lr",
        ),
        (lambda groups: groups[0].pop("momentum"), r"SGD, param_groups\[0\]: unknown or missing momentum"),
        (lambda groups: groups[0].update(nesterov=True), "nesterov needs a momentum"),
        (
            lambda groups: groups.append(dict(groups[0])),
            "3 parameters in param_groups, but 2 were added; use add_param",
        ),
        (
            lambda groups: groups[0]["params"].append(Tensor(1.0)),
            "3 parameters in param_groups, .*; use add_param_group",
        ),
    ],
)
def test_a_group_that_was_spoilt_is_found_before_anything_moves(change, words):
    p, q = with_grad([1.0], [1.0]), with_grad([1.0], [1.0])
    step = optim.SGD([{"params": [p]}, {"params": [q]}], lr=0.1)
    change(step.param_groups)
    for _ in range(2):
        for look in (step.step, step.state_dict):
            with pytest.raises(ValueError, match=words):
                look()
    assert p.data == q.data == 1


def test_an_optimizer_of_your_own():
    class SignSGD(optim.Optimizer):
        def __init__(self, params, lr=1e-3, half=False):
            super().__init__(params, {"lr": lr, "half": half})

        def update(self, grad, state, group, scratch):
            return np.multiply(np.sign(grad), group["lr"] / (1 + group["half"]), out=scratch)

    a, b = with_grad([1.0, 2.0], [5.0, -3.0]), with_grad([1.0], [1.0])
    SignSGD([{"params": [a]}, {"params": [b], "half": True}], lr=0.5).step()
    assert a.tolist() == [0.5, 2.5]
    assert b.tolist() == [0.75]


def test_moments_of_your_own_are_loaded_if_they_are_named():
    class Averaged(optim.Optimizer):
        def __init__(self, params, lr=1e-3):
            super().__init__(params, {"lr": lr})

        def update(self, grad, state, group, scratch):
            state["mean"] = (state.get("mean", 0) + grad) / 2
            return np.multiply(state["mean"], group["lr"], out=scratch)

    class Named(Averaged):
        def moments(self, group):
            return {"mean": 1.0}

    step = Averaged([with_grad([1.0], [4.0])])
    step.step()
    with pytest.raises(ValueError, match=r"parameter 0 has mean, but Averaged keeps nothing; .*from_torch\(\)"):
        step.load_state_dict(step.state_dict())
    named = Named([Tensor([1.0])])
    named.load_state_dict(step.state_dict() | {"optimizer": "Named"})
    assert named.state == [{"step": 1, "mean": 2}]


@STATEFUL
@pytest.mark.parametrize("through_json", [False, True])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(optimizer, settings, through_json, used):
    straight, a = two_groups(optimizer, **settings)
    train(straight, a, 70)  # over a flush at step 64
    weights, state = straight.state_dict(), a.state_dict()
    train(straight, a, 70, seed=1)

    resumed, b = two_groups(optimizer)
    if used:
        train(resumed, b, 3, seed=7)
    arrays = [{k: v for k, v in entry.items() if isinstance(v, np.ndarray)} for entry in b.state]
    groups = list(b.param_groups)
    resumed.load_state_dict(weights)
    b.load_state_dict(as_json(state) if through_json else state)
    for p, entry, before in zip(b.params, b.state, arrays, strict=True):
        assert all(entry[k] is before[k] for k in before.keys() & entry.keys())
        assert all(v.strides == p.data.strides for v in entry.values() if isinstance(v, np.ndarray))
    assert [x is y for x, y in zip(groups, b.param_groups, strict=True)] == [True, True]
    assert_same(b.state_dict(), state)
    train(resumed, b, 70, seed=1)
    assert_same(b.state_dict(), a.state_dict())
    assert_same(resumed.state_dict(), straight.state_dict())


@STATEFUL
def test_the_state_is_a_contiguous_copy_of_plain_values(optimizer, settings):
    model, step = two_groups(optimizer, **settings)
    assert step.state_dict()["state"] == {}
    train(model, step, 2)
    state = step.state_dict()
    before = copy.deepcopy(state)
    assert list(state) == ["optimizer", "state", "param_groups"]
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2, 3]]
    assert list(state["state"]) == [0, 1, 2, 3]
    for entry in state["state"].values():
        arrays = [v for v in entry.values() if isinstance(v, np.ndarray)]
        assert all(v.flags.c_contiguous and v.base is None for v in arrays)
        assert all(type(v) in (int, float) for v in entry.values() if not isinstance(v, np.ndarray))
        assert entry.keys().isdisjoint({"exp_avg", "exp_avg_sq", "square_avg", "grad_avg"})  # PyTorch's are scaled
    assert_same(as_json(state), json.loads(json.dumps({"optimizer": 0})) | as_json(before))
    train(model, step, 2)
    assert_same(state, before)


def test_groups_of_an_older_file_lack_the_newer_hyperparameters():
    model, step = two_groups(optim.Adam, amsgrad=True)
    train(model, step, 2)
    state = step.state_dict()
    for group in state["param_groups"]:
        del group["amsgrad"], group["maximize"]
    step.load_state_dict(state)
    assert [(group["amsgrad"], group["maximize"]) for group in step.param_groups] == [(False, False)] * 2


@pytest.mark.parametrize("value", [None, -1.0, "x", np.ones(2), math.nan])
def test_a_scalar_of_the_state_that_cannot_be(value):
    model, step = two_groups(optim.NAdam)
    train(model, step, 2)
    before = step.state_dict()
    with pytest.raises(ValueError, match="parameter 1: mu_product is"):
        step.load_state_dict(changed(before, "state", 1, "mu_product", value=value))
    assert_same(step.state_dict(), before)


def test_the_step_may_be_a_numpy_integer():
    model, step = two_groups(optim.Adam)
    train(model, step, 2)
    state = step.state_dict()
    state["state"][3]["step"] = np.int64(7)
    step.load_state_dict(state)
    assert step.steps == [2, 2, 2, 7]
    assert [type(n) for n in step.steps] == [int] * 4


def test_steps_and_moments_of_a_parameter_without_gradient():
    used, unused = with_grad([1.0], [1.0]), Tensor([1.0])
    a = optim.Adam([unused, used])
    a.step()
    state = a.state_dict()
    assert list(state["state"]) == [1]
    b = optim.Adam([with_grad([1.0], [1.0]), Tensor([1.0])])
    b.step()
    b.load_state_dict(state)
    assert b.steps == a.steps == [0, 1]
    assert b.state[0] == {}


@STATEFUL
@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_the_state_of_scalars_and_empty_arrays(optimizer, settings, shape):
    def fresh():
        p = with_grad(np.ones(shape, np.float32), np.full(shape, 0.5))
        return p, optimizer([p], **settings)

    (p, a), (q, b) = fresh(), fresh()
    a.step()
    b.load_state_dict(as_json(a.state_dict()))
    q.assign(p.data)
    a.step()
    b.step()
    np.testing.assert_array_equal(p.data, q.data)
    assert_same(a.state_dict(), b.state_dict())


@pytest.mark.parametrize(
    ("optimizer", "change"), [(optim.Adam, {"betas": (0.5, 0.9)}), (optim.RMSprop, {"alpha": 0.9, "momentum": 0.5})]
)
@pytest.mark.parametrize("before", [True, False], ids=["before saving", "after loading"])
def test_decays_changed_around_a_stop(optimizer, change, before):
    """Whose decays the saved moments belong to has to be known at any moment."""
    straight, a = two_groups(optimizer)
    train(straight, a, 5)
    resumed, b = two_groups(optimizer)
    for one in [a, b] if before else []:
        one.param_groups[1].update(change)
    b.load_state_dict(as_json(a.state_dict()))
    resumed.load_state_dict(straight.state_dict())
    for one in (a, b):
        one.param_groups[1].update(change)
    train(straight, a, 5)
    train(resumed, b, 5)
    assert_same(b.state_dict(), a.state_dict())
    assert_same(resumed.state_dict(), straight.state_dict())


def changed(state, *path, value):
    """A copy of a state with another value at a place."""
    state = copy.deepcopy(state)
    *parents, last = path
    inner = state
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return state


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: None, "expected the keys optimizer, state, param_groups, got NoneType"),
        (lambda s: {}, "expected the keys"),
        (lambda s: s["state"], "expected the keys optimizer, state, param_groups, got 0, 1"),
        (lambda s: s | {"optimizer": "AdamW"}, "this is the state of AdamW; make that optimizer"),
        (lambda s: s | {"param_groups": s["param_groups"][:1]}, r"groups of \[2\] parameters, .* of \[2, 2\]"),
        (lambda s: changed(s, "param_groups", 0, "params", value=[0]), r"groups of \[1, 2\] parameters"),
        (lambda s: changed(s, "param_groups", 1, "lr", value=-1), r"Adam, param_groups\[1\]: lr is -1"),
        (lambda s: changed(s, "param_groups", 1, "momentum", value=0), "unknown or missing momentum"),
        (lambda s: changed(s, "state", 4, value={"step": 1}), r"of parameters \[0, 1, 2, 3, 4\], .* has 4"),
        (
            lambda s: changed(s, "state", 3, "grad_sum", value=np.ones(7)),
            r"needs \(3,\) float32, .* grad_sum of shape \(7,\)",
        ),
        (lambda s: changed(s, "state", 3, "grad_sum", value=np.ones(3, complex)), "complex128"),
        (
            lambda s: changed(s, "state", 3, "step", value=1.5),
            r"parameter 3: step is 1\.5; it must be an integer of at least 1",
        ),
        (
            lambda s: changed(s, "state", 3, "step", value=0),
            "parameter 3: step is 0; it must be an integer of at least 1",
        ),
        (
            lambda s: changed(s, "state", 3, value={"step": 5, "exp_avg": np.ones(3), "exp_avg_sq": np.ones(3)}),
            r"parameter 3 has exp_avg, but Adam keeps grad_sum, .*; PyTorch's .* from_torch\(\) loads them",
        ),
        (lambda s: changed(s, "state", 3, value={"grad_sum": np.ones(3)}), "parameter 3: step is None"),
        (lambda s: changed(s, "param_groups", 0, value={}), r"groups of \[0, 2\] parameters"),
        (lambda s: s | {"param_groups": 3}, "param_groups is 3; it must be a list of dicts"),
        (lambda s: s | {"param_groups": [3]}, r"param_groups is \[3\]; it must be a list of dicts"),
        (lambda s: s | {"state": 3}, "state is 3; it must be a dict by the parameters' numbers"),
        (lambda s: changed(s, "state", "a", value={"step": 1}), "it must be a dict by the parameters' numbers"),
        (lambda s: changed(s, "state", 3, "step", value=math.inf), "parameter 3: step is inf"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, words):
    model, step = two_groups(optim.Adam)
    train(model, step, 2)
    other = two_groups(optim.Adam, lr=0.5)
    train(*other, 5, seed=3)
    before = step.state_dict()
    with pytest.raises(ValueError, match=words):
        step.load_state_dict(spoil(other[1].state_dict()))
    assert_same(step.state_dict(), before)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: optim.SGD([]), ValueError, "params is empty"),
        (lambda p: optim.SGD(p), TypeError, "params is a Tensor; pass model.parameters"),
        (lambda p: optim.SGD(3), TypeError, "params is a int"),
        (lambda p: optim.SGD({"params": [p]}), TypeError, "params is a dict"),
        (lambda p: optim.SGD(nn.Flatten()), TypeError, "params is a Flatten; pass model.parameters"),
        (
            lambda p: optim.SGD(nn.MLP([2, 2])),
            TypeError,
            r"params\[0\] is a Linear, not a Tensor; pass model.parameters",
        ),
        (lambda p: optim.SGD(nn.Linear(2, 2).named_parameters()), TypeError, r"params\[0\] is a tuple"),
        (lambda p: optim.SGD([p, np.ones(2)]), TypeError, r"params\[1\] is a ndarray"),
        (lambda p: optim.SGD([p * 2]), ValueError, "result of an op"),
        (lambda p: optim.SGD([p, Tensor(1.0), p]), ValueError, r"params\[2\] w\(2,\) is there twice"),
        (lambda p: optim.SGD([p], lr=-1), ValueError, "SGD: lr is -1; it must be a number, at least 0 and finite"),
        (lambda p: optim.Adam([p], lr=float("nan")), ValueError, "Adam: lr is nan"),
        (lambda p: optim.Adam([p], lr=float("inf")), ValueError, "Adam: lr is inf"),
        (lambda p: optim.Adam([p], lr="0.1"), ValueError, "lr is '0.1'"),
        (lambda p: optim.SGD([p], momentum=1.0), ValueError, "momentum is 1.0; it must be .* below 1"),
        (lambda p: optim.SGD([p], weight_decay=-0.1), ValueError, "weight_decay"),
        (lambda p: optim.SGD([p], nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda p: optim.SGD([p], momentum=0.9, nesterov="yes"), ValueError, "nesterov is 'yes'; it must be True or"),
        (
            lambda p: optim.SGD([p], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
            "along the undamped gradient; leave dampening at 0",
        ),
        (lambda p: optim.SGD([p], dampening=1.1), ValueError, "dampening is 1.1; .* at most 1"),
        (lambda p: optim.Adam([p], maximize=1), ValueError, "Adam: maximize is 1"),
        (lambda p: optim.AdamW([p], amsgrad=None), ValueError, "AdamW: amsgrad is None"),
        (lambda p: optim.Adagrad([p], lr_decay=-1), ValueError, "lr_decay is -1"),
        (lambda p: optim.Adagrad([p], initial_accumulator_value=-1), ValueError, "initial_accumulator_value is -1"),
        (lambda p: optim.NAdam([p], momentum_decay=-1), ValueError, "momentum_decay is -1"),
        (lambda p: optim.NAdam([p], decoupled_weight_decay=0), ValueError, "decoupled_weight_decay is 0"),
        (lambda p: optim.RMSprop([p], alpha=1), ValueError, "RMSprop: alpha is 1"),
        (lambda p: optim.RMSprop([p], centered=1), ValueError, "RMSprop: centered is 1"),
        (
            lambda p: optim.SGD([p], 0.1, 0.9, 0, 1e-4, False, True),
            TypeError,
            r"got more \(bool\); .* nesterov, maximize=",
        ),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "beta2 is 1.0"),
        (lambda p: optim.Adam([p], betas=0.9), ValueError, "betas is 0.9; it must be a pair"),
        (lambda p: optim.Adam([p], eps=-1e-8), ValueError, "eps"),
        (lambda p: optim.AdamW([p], weight_decay=-1), ValueError, "AdamW: weight_decay is -1"),
        (
            lambda p: optim.SGD([{"params": [p]}, Tensor(1.0)]),
            TypeError,
            r"param_groups\[1\] is Tensor\(1.*is a dict such",
        ),
        (lambda p: optim.SGD([{"lr": 0.1}]), TypeError, r"param_groups\[0\] is {'lr': 0.1}; a group is a dict such as"),
        (lambda p: optim.SGD([{"params": [p]}, {"params": []}]), ValueError, r"param_groups\[1\]\['params'\] is empty"),
        (
            lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]),
            ValueError,
            r"\[1\]\['params'\]\[0\] w\(2,\) is there",
        ),
        (lambda p: optim.SGD([{"params": [p], "lr": -1}]), ValueError, r"SGD, param_groups\[0\]: lr is -1"),
        (
            lambda p: optim.SGD([{"params": [p], "betas": 1}]),
            ValueError,
            r"param_groups\[0\]: unknown or missing betas",
        ),
        (lambda p: optim.SGD([p]).add_param_group({"params": [p]}), ValueError, r"param_groups\[1\].* there twice"),
        (lambda p: optim.Optimizer([with_grad(1.0, 1.0)], {"lr": 1.0}).step(), NotImplementedError, "define update"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(Tensor([1.0, 2.0], name="w"))


def test_a_group_that_is_refused_leaves_the_optimizer_as_it_was():
    p = with_grad([1.0], [1.0])
    optimizer = optim.SGD([p])
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [Tensor(1.0)], "lr": -1})
    assert len(optimizer.param_groups) == len(optimizer.state) == 1
    optimizer.step()
    assert p.data != 1


def test_numpys_numbers_become_pythons():
    settings = {"lr": np.float32(0.5), "momentum": np.float64(0.5), "nesterov": np.True_}
    [group] = optim.SGD([Tensor([1.0])], **settings).param_groups
    assert [(group[name], type(group[name])) for name in settings] == [(0.5, float), (0.5, float), (True, bool)]


@pytest.mark.parametrize("values", [[3.0, 4.0], [3.0]])  # of the same and of another shape
@pytest.mark.parametrize("in_place", [True, False])
def test_a_parameter_that_was_replaced_by_hand(values, in_place):
    p, new = with_grad([1.0, 2.0], [1.0, 1.0]), with_grad(values, values)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.9)
    optimizer.step()
    if in_place:
        optimizer.param_groups[0]["params"][0] = new
    else:
        optimizer.param_groups[0]["params"] = [new]
    for use in (optimizer.step, optimizer.state_dict):
        with pytest.raises(ValueError, match=r"parameter 0 is another object .*\(2,\).* p\.assign\(values\), or make"):
            use()
    assert new.data.tolist() == values


def groups_of_two():
    """An optimizer with two groups of one parameter each, with gradients."""
    params = [with_grad([1.0, 2.0], [1.0, 1.0]), with_grad([3.0], [1.0])]
    return optim.SGD([{"params": [p]} for p in params], lr=0.1), params


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: setattr(o, "param_groups", None), "param_groups is None; it must stay a list of dicts"),
        (lambda o: o.param_groups.append({**o.param_groups[0], "params": []}), "there are 3 param_groups, but 2"),
        (lambda o: o.param_groups.pop(), "there are 1 parameters in param_groups, but 2"),
        (lambda o: o.param_groups.reverse(), "parameter 0 is another object"),
        (lambda o: o.param_groups.__setitem__(0, []), "it must stay a list of dicts"),
        (lambda o: o.param_groups[0].pop("params"), "it must stay a list of dicts"),
        (lambda o: o.param_groups[0].update(params=None), "it must stay a list of dicts"),
        (lambda o: o.param_groups[0].update(params=(p for p in o.params)), "there are 3 parameters|not a list"),
        (lambda o: o.param_groups[0].update(params=iter(o.param_groups[0]["params"])), "is <list_iterator .*, not a"),
        (lambda o: o.param_groups[0].update(lr=Tensor(0.1)), r"SGD, param_groups\[0\]: lr is Tensor"),
        (lambda o: o.param_groups[1].update(lr=np.array([0.1, 0.1])), r"SGD, param_groups\[1\]: lr is array"),
        (lambda o: o.param_groups[1].update(lr=np.array(0.1)), r"SGD, param_groups\[1\]: lr is array"),
        (lambda o: o.param_groups[1].update(lr="0.1"), r"SGD, param_groups\[1\]: lr is '0.1'"),
        (lambda o: o.param_groups[1].update(lr=True), r"SGD, param_groups\[1\]: lr is True"),
        (lambda o: o.state.clear(), "state has 0 entries for 2 parameters"),
    ],
)
def test_groups_edited_by_hand_are_found_before_anything_moves(change, words):
    step, params = groups_of_two()
    change(step)
    with pytest.raises((TypeError, ValueError), match=words):
        step.step()
    np.testing.assert_array_equal(params[0].data, [1, 2])
    np.testing.assert_array_equal(params[1].data, [3])


def test_a_group_may_be_a_copy_and_hold_a_tuple():
    step, params = groups_of_two()
    step.param_groups = tuple([{**group, "params": tuple(group["params"])} for group in step.param_groups])
    step.param_groups[1]["lr"] = np.float32(0.5)
    step.step()
    np.testing.assert_allclose(params[1].data, [2.5])


@EVERY
@pytest.mark.parametrize(
    ("grad", "error", "words"),
    [
        (np.ones(2) * 1j, TypeError, "is of dtype complex128"),
        (np.array([1, None]), TypeError, "is of dtype object"),
        (["1", "2"], TypeError, "is of dtype <U1"),
        (np.array([1, 2], "M8[s]"), TypeError, "is of dtype datetime64"),
        (np.ma.array([1.0, 2], mask=[1, 0]), TypeError, "some entries are masked"),
        ([np.ma.masked, 1.0], TypeError, "some entries are masked"),
        (1.0, ValueError, r"parameter 1 has shape \(2,\) but its grad \(\)"),
        (np.ones(1), ValueError, r"parameter 1 has shape \(2,\) but its grad \(1,\)"),
        (np.ones((2, 1)), ValueError, r"but its grad \(2, 1\)"),
    ],
)
def test_a_gradient_set_by_hand_that_cannot_be_one(optimizer, grad, error, words):
    first, p = with_grad([5.0], [1.0]), Tensor([1.0, 2.0])
    step = optimizer([first, p], lr=0.1)
    p.grad = grad
    with pytest.raises(error, match=words):
        step.step()
    assert first.data == 5 and step.steps == [0, 0]


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize(
    "grad",
    [[255, 3], np.array([255, 3], np.uint8), np.array([-128, 1], np.int8), np.array([True, False]),
     np.array([255, 3], ">f8"), Tensor([2.0, 3.0]), np.array([2, 3], np.float16), np.broadcast_to(2.0, 2)],
)  # fmt: skip
@pytest.mark.parametrize("maximize", [False, True])
def test_a_gradient_set_by_hand_counts_like_a_float(optimizer, dtype, grad, maximize):
    found, wanted = Tensor(np.array([1, 2], dtype)), Tensor(np.array([1, 2], np.float64))
    found.grad = grad
    wanted.grad = np.array(grad.data if isinstance(grad, Tensor) else grad, np.float64)
    for p in (found, wanted):
        step = optimizer([p], lr=0.1, weight_decay=0.1 * (not maximize), maximize=maximize)
        for _ in range(2):
            step.step()
    np.testing.assert_allclose(found.data, wanted.data, rtol={2: 2e-3, 4: 1e-5, 8: 1e-12}[found.itemsize], atol=1e-3)


@pytest.mark.parametrize("params", [{Tensor(1.0)}, frozenset([Tensor(1.0)]), np.ones(2), np.array(2), "params"])
def test_parameters_have_an_order(params):
    with pytest.raises(TypeError, match=f"params is a {type(params).__name__}"):
        optim.SGD(params)
    with pytest.raises(TypeError, match=r"\['params'\] is a"):
        optim.SGD([{"params": params}])


@EVERY
def test_a_state_of_nonsense_changes_nothing(optimizer):
    def make():
        step = optimizer([{"params": [with_grad([1.0, 2.0], [1.0, 1.0])]}, {"params": [with_grad(3.0, 1.0)]}], lr=0.1)
        step.step()
        return step

    whole, junk = make().state_dict(), [None, True, -1, "x", [1], np.ones(3), object(), 1j, np.ma.masked]
    spoilt = [{**whole, "optimizer": value} for value in junk]
    spoilt += [{**whole, "state": {**whole["state"], 0: value}} for value in junk]
    spoilt += [{**whole, "state": {**whole["state"], 0: {"step": value}}} for value in [*junk, 10**400]]
    for group in whole["param_groups"]:
        for key in group:
            wrong = [value for value in junk if not (value is True and isinstance(group[key], bool))]
            spoilt += [{**whole, "param_groups": [{**group, key: value}, whole["param_groups"][1]]} for value in wrong]
    for state in spoilt:
        step = make()
        with pytest.raises(ValueError, match=f"{optimizer.__name__}"):
            step.load_state_dict(state)
        assert step.steps == [1, 1] and step.lr == 0.1
