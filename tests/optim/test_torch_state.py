"""The state in PyTorch's names: a run goes on there, and comes back."""

import copy

import numpy as np
import pytest
from gradients import with_grad
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, optim

DECAY = st.sampled_from([0.0, 0.3])
BETAS = st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
OPTIONS = {
    optim.SGD: {"momentum": st.sampled_from([0.0, 0.9]), "dampening": DECAY, "weight_decay": DECAY},
    optim.Adagrad: {"lr_decay": DECAY, "initial_accumulator_value": DECAY, "weight_decay": DECAY},
    optim.RMSprop: {"alpha": st.sampled_from([0.9, 0.99]), "momentum": DECAY, "centered": st.booleans()},
    optim.Adam: {"betas": BETAS, "weight_decay": DECAY, "amsgrad": st.booleans()},
    optim.AdamW: {"betas": BETAS, "weight_decay": DECAY, "amsgrad": st.booleans()},
    optim.NAdam: {"betas": BETAS, "momentum_decay": DECAY, "decoupled_weight_decay": st.booleans()},
    optim.Muon: {"momentum": st.sampled_from([0.5, 0.95]), "ns_steps": st.integers(2, 5)},
}
DRAWN = [st.tuples(st.just(k), st.fixed_dictionaries(options)) for k, options in OPTIONS.items()]
SHAPES = [(4, 3), (1, 2), (2, 2)]  # the last has no gradient at first


def gradients(rng, count):
    return [rng.standard_normal(shape) for shape in SHAPES[:count]]


def as_tensors(torch, state):
    """What the docstring of to_torch says."""
    for entry in state["state"].values():
        entry.update({name: torch.tensor(value) for name, value in entry.items()})
    return state


@settings(max_examples=40, derandomize=True)
@given(drawn=st.one_of(DRAWN), lr=st.sampled_from([0.01, 0.1]))
def test_a_run_goes_on_in_pytorch_and_comes_back(double, drawn, lr):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(double.Tensor, "bfloat16", double.Tensor.clone)  # Muon would round to it
        there_and_back(double, drawn, lr)


def there_and_back(torch, drawn, lr):
    optimizer, options = drawn
    theirs_class = getattr(torch.optim, optimizer.__name__)
    rng = np.random.default_rng(0)
    start = gradients(rng, 3)
    stayed, ours = [[Tensor(x) for x in start] for _ in range(2)]
    a, b = [optimizer([{"params": p[:1], "lr": 0.02}, {"params": p[1:]}], lr=lr, **options) for p in (stayed, ours)]

    def step(params, one, grads):
        for p, grad in zip(params, grads, strict=False):
            p.grad = torch.tensor(grad) if isinstance(p, torch.Tensor) else grad
        one.step()

    for count in (2, 2, 3, 2):
        grads = gradients(rng, count)
        step(stayed, a, grads), step(ours, b, grads)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
    there = theirs_class([{"params": theirs[:1]}, {"params": theirs[1:]}], lr=9.0)
    there.load_state_dict(as_tensors(torch, b.to_torch()))
    for _ in range(5):
        grads = gradients(rng, 3)
        step(stayed, a, grads), step(theirs, there, grads)
    for p, q in zip(stayed, theirs, strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.data, rtol=1e-10)
    back = [Tensor(q.detach().numpy()) for q in theirs]
    c = optimizer([{"params": back[:1]}, {"params": back[1:]}])
    c.from_torch(there.state_dict())
    assert "step" not in c.torch_names or c.steps == a.steps
    for _ in range(5):
        grads = gradients(rng, 3)
        step(stayed, a, grads), step(back, c, grads)
    for p, q in zip(stayed, back, strict=True):
        np.testing.assert_allclose(q.data, p.data, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", [*OPTIONS])
def test_there_and_back_is_as_before(optimizer, dtype):
    options = {"momentum": 0.9} if optimizer in (optim.SGD, optim.RMSprop) else {}
    params = [with_grad(np.eye(2, 3), np.ones((2, 3)), dtype), Tensor(np.zeros((2, 2), dtype))]
    step = optimizer(params, lr=0.1, **options)
    for _ in range(3):
        step.step()
    before, there = step.state_dict(), step.to_torch()
    assert not any(np.shares_memory(v, w) for v in there["state"][0].values() for w in step.state[0].values())
    step.load_state_dict(before | {"state": {}})
    step.from_torch(there)
    after = step.state_dict()
    assert after["param_groups"] == before["param_groups"] and after["state"].keys() == before["state"].keys() == {0}
    for name, value in before["state"][0].items():
        if name != "step" or "step" in step.torch_names:
            np.testing.assert_allclose(after["state"][0][name], value, rtol=1e-6)
            assert np.asarray(after["state"][0][name]).dtype == np.asarray(value).dtype
    assert {v.dtype for v in there["state"][0].values() if v.shape} == {np.dtype(dtype)}


def test_the_names_and_scales_are_pytorchs():
    p = with_grad([1.0, -1.0], [2.0, 4.0])
    adam = optim.Adam([p, Tensor(1.0)], betas=(0.9, 0.99), amsgrad=True)
    adam.step()
    state = adam.to_torch()
    assert list(state) == ["state", "param_groups"] and list(state["state"]) == [0]
    entry = state["state"][0]
    assert entry.keys() == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    assert entry["step"].shape == () and entry["step"] == 1
    np.testing.assert_allclose(entry["exp_avg"], [0.2, 0.4])
    np.testing.assert_allclose(entry["exp_avg_sq"], [0.04, 0.16])
    assert state["param_groups"][0]["params"] == [0, 1] and state["param_groups"][0]["amsgrad"] is True


def test_adagrad_has_a_state_of_every_parameter_there():
    params = [with_grad([1.0], [2.0]), Tensor(np.zeros((2, 2), np.float32))]
    state = optim.Adagrad(params, initial_accumulator_value=0.5).to_torch()["state"]
    assert [entry["step"] for entry in state.values()] == [0, 0]
    assert state[1]["sum"].dtype == np.float32 and (state[1]["sum"] == 0.5).all()
    step = optim.Adagrad(params, initial_accumulator_value=0.5)
    step.from_torch(step.to_torch())
    assert step.state == [{}, {}]


def test_sgd_goes_on_counting():
    p = with_grad([1.0], [1.0])
    step, fresh = optim.SGD([p], momentum=0.5), optim.SGD([Tensor([1.0])], momentum=0.5)
    for _ in range(7):
        step.step()
    state = step.to_torch()
    assert state["state"][0].keys() == {"momentum_buffer"}
    step.from_torch(state), fresh.from_torch(state)
    assert step.steps == [7] and fresh.steps == [1]
    plain = optim.SGD([p])
    plain.step()
    assert plain.to_torch()["state"] == {}
    state["state"][0]["momentum_buffer"] = None  # as PyTorch has it without momentum
    step.from_torch(state)
    assert step.state == [{"step": 7}]


def test_what_pytorchs_schedules_note_down_is_not_read():
    step = optim.Adam([Tensor([1.0])])
    state = step.to_torch()
    state["param_groups"][0] |= {"initial_lr": 0.1, "foreach": None, "fused": None, "decoupled_weight_decay": False}
    step.from_torch(state)
    assert step.param_groups[0].keys() == {"params", *step.defaults}


def test_an_optimizer_of_your_own_says_its_names():
    class Averaged(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        def moments(self, group):
            return {"mean": 2.0}

        def update(self, grad, state, group, scratch):
            state["mean"] = grad.copy()
            return np.multiply(grad, group["lr"], out=scratch)

    class Named(Averaged):
        torch_names = {"mean": "avg"}  # noqa: RUF012

    for cls in (Averaged, Named):
        step = cls([with_grad([1.0], [3.0])])
        step.step()
        if cls is Named:
            np.testing.assert_array_equal(step.to_torch()["state"][0]["avg"], [6.0])
        else:
            with pytest.raises(ValueError, match="parameter 0 has mean, of which torch_names does not say"):
                step.to_torch()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: None, "Adam.from_torch: expected the keys state, param_groups, .* got NoneType"),
        (lambda s: s | {"optimizer": "Adam"}, "got state, param_groups, optimizer"),
        (lambda s: s | {"param_groups": 3}, "param_groups is 3; it must be a list of dicts"),
        (lambda s: s | {"state": [1]}, "state is \\[1\\]; it must be a dict of dicts"),
        (lambda s: s | {"state": {0: 1}}, "it must be a dict of dicts"),
        (lambda s: s["param_groups"][0].update(decoupled_weight_decay=True), "that of AdamW; make that optimizer"),
        (lambda s: s["param_groups"][0].update(momentum=0.9), "unknown or missing momentum"),
        (lambda s: s["param_groups"][0].pop("eps"), "unknown or missing eps"),
        (lambda s: s["param_groups"][0].update(betas=3), "betas is 3"),
        (lambda s: s["param_groups"][0].update(params=[0, 1]), r"groups of \[2\] parameters"),
        (lambda s: s["param_groups"][0].update(params=None), r"groups of \[0\] parameters"),
        (lambda s: s["state"].update({1: s["state"][0]}), "of parameters \\[0, 1\\]"),
        (lambda s: s["state"].update(a=s["state"][0]), "a dict by the parameters' numbers"),
        (lambda s: s["state"][0].update(square_avg=1.0), "parameter 0 has 'square_avg', but Adam has step, exp_avg"),
        (lambda s: s["state"][0].update(exp_avg="x"), "exp_avg is of dtype <U1; it must hold real numbers"),
        (lambda s: s["state"][0].update(exp_avg=[[1], [2, 3]]), "exp_avg is not an array"),
        (lambda s: s["state"][0].update(exp_avg=np.ma.array([1.0, 2], mask=[0, 1])), "some entries are masked"),
        (lambda s: s["state"][0].update(exp_avg=np.ones(3)), r"needs \(2,\) float64"),
        (lambda s: s["state"][0].update(step=np.asarray(1.5)), "step is 1.5"),
        (lambda s: s["state"][0].update(step=np.ones(2)), r"step is of shape \(2,\); it must be a single number"),
        (lambda s: s["state"][0].pop("step"), "step is None"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, words):
    step = optim.Adam([with_grad([1.0, 2.0], [1.0, 1.0])])
    step.step()
    before = step.state_dict()
    state = copy.deepcopy(step.to_torch())
    spoilt = spoil(state)
    spoilt = spoilt if words.startswith("Adam.from") or (isinstance(spoilt, dict) and "state" in spoilt) else state
    with pytest.raises((ValueError, TypeError), match=words):
        step.from_torch(spoilt)
    np.testing.assert_equal(step.state_dict(), before)


def test_the_state_of_adam_is_not_that_of_adamw():
    state = optim.Adam([Tensor([1.0])]).to_torch()
    state["param_groups"][0]["decoupled_weight_decay"] = False
    with pytest.raises(ValueError, match=r"AdamW.from_torch: the weight decay is that of Adam;"):
        optim.AdamW([Tensor([1.0])]).from_torch(state)


@pytest.mark.parametrize("name", [*[cls.__name__ for cls in OPTIONS], "RAdam", "ASGD", "Adadelta"])
@pytest.mark.parametrize("cls", OPTIONS, ids=lambda cls: cls.__name__)
def test_the_state_of_another_optimizer_is_refused_by_its_name(double, cls, name):
    state = getattr(double.optim, name)([double.ones(2, 2)]).state_dict()
    step = cls([Tensor(np.ones((2, 2)))])
    if name == cls.__name__:
        return step.from_torch(state)
    known = name in {cls.__name__ for cls in OPTIONS}
    message = "the weight decay is that" if {name, cls.__name__} == {"Adam", "AdamW"} else ""
    with pytest.raises(
        ValueError, match=rf"^{cls.__name__}.from_torch: {message}.* {name if known else 'another optimizer.$'}"
    ):
        step.from_torch(state)


def test_errors_have_pytorchs_names_and_say_from_torch():
    step = optim.Adam([with_grad([1.0, 2.0], [1.0, 1.0])])
    step.step()
    state = step.to_torch()
    with pytest.raises(
        ValueError, match=r"^Adam.load_state_dict: .* PyTorch's optimizer is loaded with from_torch\(\)"
    ):
        step.load_state_dict(state)
    state["state"][0]["exp_avg_sq"] = np.ones(3)
    with pytest.raises(ValueError, match=r"^Adam.from_torch: parameter 0 needs .* the state has exp_avg_sq of shape"):
        step.from_torch(state)


@pytest.mark.parametrize("number", [np.asarray, np.float32])
def test_hyperparameters_that_are_arrays(number):
    step = optim.Adam([Tensor([1.0])])
    state = step.to_torch()
    state["param_groups"][0].update(lr=number(0.25), betas=(number(0.5), number(0.75)), amsgrad=np.asarray(True))
    step.from_torch(state)
    assert step.lr == 0.25 and step.param_groups[0]["betas"] == (0.5, 0.75) and step.param_groups[0]["amsgrad"] is True


def test_a_rate_that_is_a_tensor(double):
    step = optim.Adam([Tensor([1.0])])
    step.from_torch(double.optim.Adam([double.ones(1)], lr=double.tensor(0.5)).state_dict())
    assert step.lr == 0.5


def test_tensors_of_a_dtype_that_numpy_lacks(double):
    step = optim.Adam([with_grad([1.0, 2.0], [1.0, 1.0])])
    step.step()
    state = step.to_torch()
    state["state"][0]["exp_avg"] = double.ones(2, dtype=double.bfloat16)
    with pytest.raises(ValueError, match="parameter 0: exp_avg is not an array"):
        step.from_torch(state)
