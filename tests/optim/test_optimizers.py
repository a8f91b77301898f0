"""The update rules: equal to PyTorch's, in place, without allocations or subnormal numbers."""

import tracemalloc

import numpy as np
import pytest
from gradients import with_grad
from hypothesis import given, settings as hypothesis_settings
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor, nn, optim

SETTINGS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.5, "nesterov": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.3}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.3}),
    (optim.SGD, {"lr": 1e-3, "momentum": 0.5, "dampening": 1, "maximize": True}),
    (optim.Adagrad, {"lr": 0.1}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.3}),
    (optim.Adagrad, {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 0.1, "maximize": True}),
    (optim.RMSprop, {}),
    (optim.RMSprop, {"weight_decay": 0.3, "alpha": 0.9, "eps": 1e-3}),
    (optim.RMSprop, {"momentum": 0.5, "maximize": True}),
    (optim.RMSprop, {"momentum": 0.9}),
    (optim.RMSprop, {"centered": True, "weight_decay": 0.3}),
    (optim.RMSprop, {"centered": True, "momentum": 0.5, "weight_decay": 0.3, "alpha": 0.5, "eps": 0.1}),
    (optim.Adam, {}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    (optim.Adam, {"lr": 0.1, "betas": (0.0, 0.9)}),
    (optim.AdamW, {}),
    (optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "amsgrad": True}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.3, "betas": (0.5, 0.9)}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    (optim.NAdam, {}),
    (optim.NAdam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "momentum_decay": 0.5, "weight_decay": 0.3}),
    (optim.NAdam, {"lr": 0.1, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True}),
]
GROUPS = {  # what a second group has of its own
    optim.SGD: {"lr": 0.02, "momentum": 0.7, "weight_decay": 0.1},
    optim.Adagrad: {"lr": 0.02, "lr_decay": 0.01, "weight_decay": 0.1},
    optim.RMSprop: {"lr": 0.02, "alpha": 0.8, "momentum": 0.3},
    optim.Adam: {"betas": (0.8, 0.95), "weight_decay": 0.1},
    optim.AdamW: {"lr": 0.02, "eps": 1e-4, "weight_decay": 0.0},
    optim.NAdam: {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1},
}
CHANGES = {  # how training starts, then what its groups get on the way; PyTorch's RMSprop has no momentum to switch on
    optim.SGD: [
        {},
        {"momentum": 0.9, "dampening": 0.0},
        {"nesterov": True, "weight_decay": 0.1},
        {"lr": 0.02, "momentum": 0.5},
        {"nesterov": False, "dampening": 0.5, "maximize": True},
    ],
    optim.Adagrad: [
        {"lr": 0.1},
        {"lr": 0.05, "lr_decay": 0.1},
        {"weight_decay": 0.1, "eps": 1e-3},
        {"maximize": True, "initial_accumulator_value": 1.0},
    ],
    optim.RMSprop: [
        {"momentum": 0.9, "centered": True},
        {"alpha": 0.9, "momentum": 0.5},
        {"momentum": 0.0, "eps": 1e-3, "lr": 0.02},
        {"alpha": 0.99, "weight_decay": 0.1},
        {"momentum": 0.7},
        {"centered": False, "maximize": True},
    ],
    optim.Adam: [
        {"amsgrad": True},
        {"betas": (0.5, 0.9)},
        {"eps": 1e-3, "lr": 0.02},
        {"betas": (0.5, 0.999), "weight_decay": 0.1},
        {"maximize": True},
        {"amsgrad": False},
    ],
    optim.NAdam: [
        {},
        {"betas": (0.5, 0.9)},
        {"eps": 1e-3, "lr": 0.02, "momentum_decay": 0.1},
        {"betas": (0.5, 0.999), "weight_decay": 0.1, "maximize": True},
        {"decoupled_weight_decay": True},
    ],
}
CHANGES[optim.AdamW] = CHANGES[optim.Adam]
EVERY = pytest.mark.parametrize("optimizer", list(GROUPS))


@pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
@pytest.mark.parametrize("setup", ["plain", "groups", "clipped and scheduled", "changing"])
def test_a_hundred_steps_are_pytorchs(optimizer, settings, setup, double):
    torch = double
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape) for shape in [(4, 3), (3,), ()]]
    centre = [rng.standard_normal(np.shape(x)) for x in start]
    ours = [Tensor(x) for x in start]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]

    def grouped(params):
        return params if setup == "plain" else [{"params": params[:1]}, {"params": params[1:], **GROUPS[optimizer]}]

    first, *changes = CHANGES[optimizer] if setup == "changing" else [{}]
    settings = {**settings, **first}
    a = optimizer(grouped(ours), **settings)
    b = getattr(torch.optim, optimizer.__name__)(grouped(theirs), **settings)
    schedules = [optim.StepLR(a, 7, 0.8), torch.optim.lr_scheduler.StepLR(b, 7, 0.8)]
    for step in range(100):
        a.zero_grad()
        used = list(zip(ours, centre, strict=True))[: 2 if step % 3 == 1 else 3]  # the last has no gradient
        sum([(((p - c) ** 2 + 1) ** 0.5).sum() for p, c in used]).backward()
        for p, q in zip(ours, theirs, strict=True):
            q.grad = None if p.grad is None else torch.tensor(p.grad)
        if setup == "clipped and scheduled":
            norm = optim.clip_grad_norm_(ours, 0.5)
            assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, 0.5).item(), rel=1e-12)
        if step % 15 == 7 and step // 15 < len(changes):
            for one in (a, b):
                one.param_groups[step // 15 % 2].update(changes[step // 15])
                one.param_groups[1].update(changes[step // 15])
        a.step()
        b.step()
        if setup == "clipped and scheduled":
            for schedule in schedules:
                schedule.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)


@EVERY
def test_every_hyperparameter_is_changed_on_the_way(optimizer):
    assert {name for change in CHANGES[optimizer][1:] for name in change} == optimizer([Tensor(0.0)]).defaults.keys()


@EVERY
def test_defaults_are_pytorchs(optimizer):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, optimizer.__name__)([torch.zeros(1, requires_grad=True)]).defaults
    ours = optimizer([Tensor(0.0)]).defaults
    assert {name: theirs[name] for name in ours} == ours


@EVERY
def test_moments_are_what_the_state_holds_and_their_scales_give_the_formulas_values(optimizer):
    torch = pytest.importorskip("torch")
    settings = {"momentum": 0.5} if optimizer in (optim.SGD, optim.RMSprop) else {}
    settings |= {"centered": True} if optimizer is optim.RMSprop else {}
    settings |= {"amsgrad": True} if optimizer in (optim.Adam, optim.AdamW) else {}
    p, q = with_grad([1.0, 2.0], [0.3, -4.0]), torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    q.grad = torch.tensor(p.grad)
    a, b = optimizer([p], **settings), getattr(torch.optim, optimizer.__name__)([q], **settings)
    for _ in range(3):
        a.step()
        b.step()
    scales = a.moments(a.param_groups[0])
    assert a.state[0].keys() == scales.keys() | {"step", *a.scalars}
    for name, scale in scales.items():
        theirs = b.state[q][a.torch_names[name]].numpy()
        np.testing.assert_allclose(a.state[0][name] * scale, theirs, rtol=1e-7, err_msg=name)


def test_one_adam_step_by_hand():
    p = with_grad(1.0, 0.4)
    optimizer = optim.Adam([p], lr=1e-3)
    optimizer.step()
    assert (1 - 0.9) * optimizer.state[0]["grad_sum"] == pytest.approx(0.04)
    assert (1 - 0.999) * optimizer.state[0]["square_sum"] == pytest.approx(0.00016)
    assert p.item() - 1 == pytest.approx(-0.001, rel=1e-6)

    p = with_grad([1.0, 2.0, 3.0], [0.5, -0.3, 0.8])
    optim.Adam([p], lr=1e-3).step()
    np.testing.assert_allclose(p.data, [0.999, 2.001, 2.999], atol=1e-9)


def test_momentum_by_hand():
    p = with_grad([1.0], [2.0])
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    positions = []
    for _ in range(3):
        optimizer.step()
        positions.append(p.item())
    assert positions == pytest.approx([0.8, 0.5, 0.15])  # steps of 0.1 * (2, 3, 3.5)


@pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
@hypothesis_settings(max_examples=25)
@given(shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
def test_dtype_gradient_and_array_stay(optimizer, settings, shape):
    rng = np.random.default_rng(0)
    grad = rng.standard_normal(shape).astype(np.float32)
    grad.flags.writeable = False
    p = Tensor(np.ones(shape, np.float32).T)
    p.grad = grad.T
    data, before = p.data, np.array(grad)
    optimizer([p], **settings).step()
    assert p.dtype == np.float32
    assert p.shape == shape[::-1]
    assert p.data is data or shape == ()
    assert (p.data != 1).all()
    np.testing.assert_array_equal(grad, before)
    assert p.grad is not None


@EVERY
def test_parameters_of_several_dtypes(optimizer):
    params = [with_grad([1.0, 2.0], [0.1, 0.2], dtype) for dtype in (np.float64, np.float32, np.float16)]
    optimizer(params, lr=0.5).step()
    for p, dtype in zip(params, (np.float64, np.float32, np.float16), strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, params[0].data, rtol=1e-2)


@EVERY
def test_a_parameter_without_gradient_is_skipped(optimizer):
    used, unused = with_grad([1.0], [1.0]), Tensor([1.0])
    step = optimizer([unused, used], weight_decay=0.1)
    step.step()
    assert unused.data == 1
    assert used.data != 1
    assert step.steps == [0, 1]


@EVERY
def test_gradients_that_are_tensors(optimizer):
    results = []
    for create_graph in (False, True):
        p = Tensor([1.0, -2.0])
        (p**3).sum().backward(create_graph=create_graph)
        assert isinstance(p.grad, Tensor) is create_graph
        optimizer([p], lr=0.1).step()
        results.append(p.data)
    np.testing.assert_array_equal(*results)


def test_backward_knows_of_the_step():
    p = Tensor([1.0, 2.0])
    loss = (p**2).sum()
    loss.backward()
    optim.SGD([p]).step()
    with pytest.raises(RuntimeError, match="updated"):
        loss.backward()


def test_zero_grad_left_out_adds_up():
    p = Tensor([1.0, 2.0])
    optimizer = optim.SGD([p])
    for n in range(1, 5):
        (3 * p).sum().backward()
        np.testing.assert_allclose(p.grad, [3.0 * n] * 2)
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
def test_a_step_allocates_nothing_that_grows_with_the_model(optimizer, settings):
    params = [Tensor(np.ones(shape, np.float32).T) for shape in [(400, 500), (300, 400)]]
    step = optimizer(params, **{"weight_decay": 0.1, **settings})
    for p in params:
        p.grad = np.ones_like(p.data)
    step.step()
    for entry in step.state:
        entry["step"] = 62
    tracemalloc.start()
    for _ in range(3):  # one of them flushes
        step.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000  # the smaller parameter has 480,000 bytes; ufuncs take small buffers of their own


def test_work_arrays_have_the_layout_of_the_parameter_and_the_size_of_the_largest():
    model = nn.MLP([7, 5, 3])
    optimizer = optim.Adam(model.parameters())
    for place in (0, 1):
        arrays = [work[place] for work in optimizer._work]
        assert [a.strides for a in arrays] == [p.data.strides for p in model.parameters()]
        assert {a.base.nbytes for a in arrays} == {7 * 5 * 4}
        assert len({id(a.base) for a in arrays}) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("optimizer", "settings", "gone"),
    [
        (optim.SGD, {"momentum": 0.9}, {"momentum_buffer"}),
        (optim.SGD, {"momentum": 0.9, "nesterov": True}, {"momentum_buffer"}),
        (optim.RMSprop, {}, set()),  # 0.99**1200 * 1 is still 6e-6
        (optim.RMSprop, {"alpha": 0.9}, {"square_sum"}),
        (optim.RMSprop, {"alpha": 0.9, "momentum": 0.9, "centered": True}, {"square_sum", "grad_sum", "step_sum"}),
        (optim.Adam, {}, {"grad_sum"}),
        (optim.Adam, {"betas": (0.9, 0.9)}, {"grad_sum", "square_sum"}),
        (optim.Adam, {"betas": (0.9, 0.9), "amsgrad": True}, {"grad_sum", "square_sum"}),
        (optim.AdamW, {"betas": (0.9, 0.9)}, {"grad_sum", "square_sum"}),
        (optim.NAdam, {"betas": (0.9, 0.9)}, {"grad_sum", "square_sum"}),
        (optim.Adagrad, {}, set()),
    ],
)
def test_moments_without_gradients_become_zero_not_subnormal(optimizer, settings, gone, dtype):
    kept = np.promote_types(dtype, np.float32)
    tiny = np.finfo(kept).tiny  # the smallest number that is not subnormal
    p = with_grad(np.ones(4), [1.0, 1e-3, 1e-12, 1e8 * float(tiny)], dtype)
    step = optimizer([p], **settings)
    step.step()
    p.grad = np.zeros(4, dtype)
    for _ in range(1200):
        step.step()
        moments = {k: np.abs(v) for k, v in step.state[0].items() if isinstance(v, np.ndarray)}
        for moment in moments.values():
            assert moment.dtype == kept
            assert ((moment == 0) | (moment >= tiny)).all()
    assert {k for k, v in moments.items() if not v.any()} == gone


@pytest.mark.parametrize(("optimizer", "limit"), [(optim.Adam, 0.02), (optim.RMSprop, 0.3)])
def test_flushing_does_not_disturb_small_moments(optimizer, limit):
    """Tiny steady gradients and a tiny eps: where eps is small, so is what may be taken for zero."""
    p = with_grad([0.0], [1e-17], np.float32)
    settings = {} if optimizer is optim.Adam else {"alpha": 0.9}
    step = optimizer([p], lr=1e-3, eps=1e-20, **settings)
    for _ in range(200):
        before = p.item()
        step.step()
    assert before - p.item() == pytest.approx(1e-3, rel=limit)


@EVERY
def test_zero_and_large_gradients_of_float16_stay_finite(optimizer):
    """In float16 the eps 1e-8 is 0, and the square of 300 infinite: 0 / 0 and 300 / inf."""
    p = with_grad(np.ones(3), [0.0, 300.0, 1e-4], np.float16)
    step = optimizer([p], lr=0.125, weight_decay=0.0)
    step.step()
    assert p.dtype == np.float16
    size = {optim.SGD: 300.0, optim.RMSprop: 10.0, optim.NAdam: 1.056}.get(optimizer, 1.0)
    assert p.data[:2].tolist() == [1.0, pytest.approx(1 - 0.125 * size, rel=2e-3)]
    assert np.isfinite(p.data).all()


def test_centered_rmsprop_of_a_constant_gradient_stays_finite():
    """Its variance is zero, and below zero after rounding."""
    p = with_grad(np.zeros(50), np.linspace(0.1, 7, 50), np.float32)
    optimizer = optim.RMSprop([p], lr=1e-10, alpha=0.9, centered=True)
    for _ in range(500):
        optimizer.step()
    assert np.isfinite(p.data).all()


@EVERY
@pytest.mark.parametrize("grad", [np.array([1.0, 2.0]), np.array([1, 2]), [1.0, 2.0]])
def test_gradients_of_another_dtype_set_by_hand(optimizer, grad):
    p, q = Tensor([1.0, 2.0], dtype=np.float32), with_grad([1.0, 2.0], [1.0, 2.0], np.float32)
    p.grad = grad
    for parameter in (p, q):
        optimizer([parameter]).step()
    assert p.dtype == np.float32
    np.testing.assert_array_equal(p.data, q.data)


def test_decoupled_decay_is_the_same_for_large_and_small_gradients():
    def moved(optimizer, weight_decay):
        p = with_grad([1.0, 1.0], [1e-3, 1e3])
        step = optimizer([p], lr=0.1, weight_decay=weight_decay)
        step.step()
        return p.data

    np.testing.assert_allclose(moved(optim.AdamW, 0.5) - moved(optim.AdamW, 0.0), -0.05, rtol=1e-12)
    np.testing.assert_allclose(moved(optim.Adam, 0.5), moved(optim.Adam, 0.0), atol=1e-5)  # decay drowns in the root


def test_a_gradient_of_another_shape_is_refused():
    p, q = with_grad([1.0], [1.0]), Tensor([1.0, 2.0])
    q.grad = np.float64(1.0)
    with pytest.raises(ValueError, match=r"parameter 1 has shape \(2,\) but its grad \(\)"):
        optim.Adam([p, q]).step()
    np.testing.assert_array_equal(p.data, [1.0])
    np.testing.assert_array_equal(q.data, [1.0, 2.0])


@pytest.mark.parametrize(
    ("optimizer", "settings", "name"),
    [(optim.Adagrad, {}, "sum"), (optim.Adam, {"amsgrad": True}, "max_square_sum")],
)
def test_what_never_decays_does_not_stay_subnormal(optimizer, settings, name):
    p = with_grad(np.ones(2), [1e-20, 1e-3], np.float32)
    step = optimizer([p], **settings)
    step.step()
    assert 0 < step.state[0][name][0] < np.finfo(np.float32).tiny
    p.grad = np.zeros(2, np.float32)
    for _ in range(63):
        step.step()
    assert step.state[0][name][0] == 0 and step.state[0][name][1] == pytest.approx(1e-6)
