import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor, nn, optim

SETTINGS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3}),
    (optim.Adam, {}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    (optim.Adam, {"lr": 0.1, "betas": (0.0, 0.9)}),
]


def with_grad(values, grad, dtype=None):
    p = Tensor(values, dtype=dtype)
    p.grad = np.asarray(grad, p.dtype)[()]
    return p


@pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
def test_a_hundred_steps_are_pytorchs(optimizer, settings):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape) for shape in [(4, 3), (3,), ()]]
    centre = [rng.standard_normal(np.shape(x)) for x in start]
    ours = [Tensor(x) for x in start]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]
    a, b = optimizer(ours, **settings), getattr(torch.optim, optimizer.__name__)(theirs, **{"lr": 1e-3, **settings})
    for step in range(100):
        a.zero_grad()
        b.zero_grad()
        for params in (ours, theirs):
            targets = centre if params is ours else map(torch.tensor, centre)
            used = list(zip(params, targets, strict=True))[: 2 if step % 3 == 1 else 3]  # the last has no gradient
            sum([(((p - c) ** 2 + 1) ** 0.5).sum() for p, c in used]).backward()
        a.step()
        b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_one_adam_step_by_hand():
    p = with_grad(1.0, 0.4)
    optimizer = optim.Adam([p], lr=1e-3)
    optimizer.step()
    assert (1 - 0.9) * optimizer.first_moments[0] == pytest.approx(0.04)
    assert (1 - 0.999) * optimizer.second_moments[0] == pytest.approx(0.00016)
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


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_parameters_of_several_dtypes(optimizer):
    params = [with_grad([1.0, 2.0], [0.1, 0.2], dtype) for dtype in (np.float64, np.float32, np.float16)]
    optimizer(params, lr=0.5).step()
    for p, dtype in zip(params, (np.float64, np.float32, np.float16), strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, params[0].data, rtol=1e-2)


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_a_parameter_without_gradient_is_skipped(optimizer):
    used, unused = with_grad([1.0], [1.0]), Tensor([1.0])
    step = optimizer([unused, used], weight_decay=0.1)
    step.step()
    assert unused.data == 1
    assert used.data != 1
    assert step.steps == [0, 1]


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
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


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_lr_is_a_plain_attribute(optimizer):
    p = with_grad(np.ones(2, np.float32), [1.0, 1.0])
    step = optimizer([p])
    step.lr = np.float64(0.5)
    step.step()
    np.testing.assert_allclose(p.data, 0.5, rtol=1e-6)
    assert p.dtype == np.float32
    step.lr = 0
    step.step()
    np.testing.assert_allclose(p.data, 0.5, rtol=1e-6)


@pytest.mark.parametrize(("optimizer", "settings"), [(optim.SGD, {"momentum": 0.9}), (optim.Adam, {})])
def test_a_step_allocates_nothing_that_grows_with_the_model(optimizer, settings):
    params = [Tensor(np.ones(shape, np.float32).T) for shape in [(1000, 500), (300, 1000)]]
    step = optimizer(params, weight_decay=0.1, **settings)
    for p in params:
        p.grad = np.ones_like(p.data)
    step.step()
    tracemalloc.start()
    for _ in range(64):
        step.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000  # the smaller parameter has 1,200,000 bytes; ufuncs take small buffers of their own


def test_scratch_has_the_layout_of_the_parameter_and_the_size_of_the_largest():
    model = nn.MLP([7, 5, 3])
    scratch = optim.Adam(model.parameters())._scratch
    assert [s.strides for s in scratch] == [p.data.strides for p in model.parameters()]
    assert {s.base.nbytes for s in scratch} == {7 * 5 * 4}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"betas": (0.9, 0.9)}])
def test_moments_without_gradients_become_zero_not_subnormal(dtype, settings):
    tiny = np.finfo(dtype).tiny  # the smallest number that is not subnormal
    p = with_grad(np.ones(4), [1.0, 1e-3, 1e-12, 1e8 * tiny], dtype)
    optimizer = optim.Adam([p], **settings)
    optimizer.step()
    p.grad = np.zeros(4, dtype)
    moments = [optimizer.first_moments[0], optimizer.second_moments[0]]
    for _ in range(1200):
        optimizer.step()
        for moment in moments:
            assert ((moment == 0) | (moment >= tiny)).all()
    assert not moments[0].any()
    assert moments[1].any() == (not settings)  # 0.999**1200 is still 0.3


def test_velocities_without_gradients_become_zero_not_subnormal():
    p = with_grad([1.0], [1.0], np.float32)
    optimizer = optim.SGD([p], momentum=0.9)
    optimizer.step()
    p.grad = np.zeros(1, np.float32)
    for _ in range(1200):
        optimizer.step()
        v = optimizer.velocities[0]
        assert v == 0 or v >= np.finfo(np.float32).tiny
    assert v == 0


def test_flushing_does_not_disturb_small_moments():
    """Tiny steady gradients and a tiny eps: where eps is small, so is what may be taken for zero."""
    p = with_grad([0.0], [1e-17], np.float32)
    optimizer = optim.Adam([p], lr=1e-3, eps=1e-20)
    before = 0.0
    for _ in range(200):
        optimizer.step()
        assert before - p.item() == pytest.approx(1e-3, rel=0.02)
        before = p.item()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: optim.SGD([]), ValueError, "params is empty"),
        (lambda p: optim.SGD(p), TypeError, "params is a Tensor; pass model.parameters"),
        (lambda p: optim.SGD(3), TypeError, "params is a int"),
        (lambda p: optim.SGD(nn.Flatten()), TypeError, "params is a Flatten; pass model.parameters"),
        (lambda p: optim.SGD(nn.MLP([2, 2])), TypeError, r"params\[0\] is a Linear, no Tensor; pass model.parameters"),
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
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "beta2 is 1.0"),
        (lambda p: optim.Adam([p], betas=0.9), ValueError, "betas is 0.9; it must be a pair"),
        (lambda p: optim.Adam([p], eps=-1e-8), ValueError, "eps"),
        (lambda p: optim.Optimizer([with_grad(1.0, 1.0)], 0.1).step(), NotImplementedError, "define update"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(Tensor([1.0, 2.0], name="w"))


def test_a_gradient_of_another_shape_is_refused():
    p = Tensor([1.0, 2.0])
    p.grad = np.float64(1.0)
    with pytest.raises(ValueError, match=r"parameter 0 has shape \(2,\) but its grad \(\)"):
        optim.Adam([p]).step()
    np.testing.assert_array_equal(p.data, [1.0, 2.0])
