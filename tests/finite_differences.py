"""The oracle: derivatives from values alone, by central differences in float64.

It knows nothing of the library's rules. First derivatives come from plain NumPy calls of the function; second
derivatives from differences of the first ones, once these have been confirmed.
"""

from contextlib import suppress
from functools import cache
from operator import attrgetter

import numpy as np
from strategies import filled, is_variable, variables

import tinygrad_edu
from tinygrad_edu import Tensor, functional

STEP = 1e-3  # with the five-point rule: truncation about STEP**4, rounding about 1e-16 / STEP
RTOL = 1e-6


def numeric(f, arrays):
    """The gradient of a scalar function with respect to each array, one element at a time."""
    gradients = []
    for i, x in enumerate(arrays):
        gradient = np.zeros(x.shape)
        for at in np.ndindex(x.shape):

            def shifted(steps, i=i, at=at, x=x):
                moved = np.array(x)
                moved[at] += steps * STEP
                return f(*arrays[:i], moved[()], *arrays[i + 1 :])

            gradient[at] = (8 * (shifted(1) - shifted(-1)) - (shifted(2) - shifted(-2))) / (12 * STEP)
        gradients.append(gradient)
    return gradients


@cache
def weights(shape, salt=0):
    """Fixed upstream gradients without symmetry, so that no two elements can be mixed up."""
    array = np.random.default_rng(salt).uniform(0.5, 1.5, shape)
    array.setflags(write=False)
    return array


def analytic(f, arrays):
    """What the library says: the gradients of sum(weights * f), and f's value."""
    tensors = [Tensor(x) for x in arrays]
    out = f(*tensors)
    out.backward(weights(out.shape))
    for x, t in zip(arrays, tensors, strict=True):
        if t.grad is not None:
            assert t.grad.shape == x.shape and t.grad.dtype == x.dtype, f"gradient of {x.shape} is {t.grad.shape}"
    return [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors], out.data


def analytic2(f, arrays):
    """The same, of sum(weights * first gradients): differentiated twice."""
    tensors = [Tensor(x) for x in arrays]
    out = f(*tensors)
    out.backward(weights(out.shape), create_graph=True)
    total = 0.0
    for i, t in enumerate(tensors):
        if t.grad is not None:
            total = total + (t.grad * weights(t.shape, i + 1)).sum()
        t.grad = None
    if getattr(total, "requires_grad", False):
        total.backward()
    return [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors]


def compare(found, expected, what, rtol=RTOL):
    """Relative to the largest element, and to 1 where all are smaller."""
    for i, (a, n) in enumerate(zip(found, expected, strict=True)):
        error = np.abs(a - n) / max(1.0, np.max(np.abs(n), initial=0.0))
        if not np.all(error <= rtol):  # NaN fails too
            at = np.unravel_index(np.argmax(error), np.shape(error))
            raise AssertionError(f"{what}, operand {i} at {at}: analytic {a[at]!r}, numeric {n[at]!r}")


def check(f, *arrays, order=2, rtol=RTOL):
    """Compares f's derivatives with finite differences; f takes arrays or Tensors, and returns an array or Tensor."""
    arrays = [np.asarray(x)[()] for x in arrays]
    found, value = analytic(f, arrays)
    np.testing.assert_allclose(value, f(*arrays), rtol=1e-12, atol=1e-12)
    compare(found, numeric(lambda *xs: np.sum(weights(value.shape) * f(*xs)), arrays), "first derivative", rtol)
    if order == 2:

        def curved(*xs):  # the upstream gradient of f depends on xs too
            out = f(*xs)
            return out + 0.5 * out * out

        def first(*xs):
            return sum([np.sum(g * weights(g.shape, i + 1)) for i, g in enumerate(analytic(curved, xs)[0])])

        compare(analytic2(curved, arrays), numeric(first, arrays), "second derivative", rtol)


def check_dtype(f, xs, dtype):
    """Operands of a dtype give a result and gradients of that dtype, equal to those of float64 up to rounding.

    Gradients are the same whether the rules run on arrays or, under create_graph, on Tensors.
    """
    narrow = [Tensor(x, dtype=dtype) for x in xs]
    wide = [Tensor(t.data.astype(np.float64)) for t in narrow]
    out, exact = f(*narrow), f(*wide)
    assert out.dtype == dtype
    tolerance = max(100 * float(np.finfo(dtype).eps), 1e-13)
    np.testing.assert_allclose(out.data, exact.data, tolerance, tolerance)
    out.backward(np.ones(out.shape))
    exact.backward(np.ones(out.shape))
    arrays = [t.grad for t in narrow]
    for g, t, w in zip(arrays, narrow, wide, strict=True):
        assert g.dtype == dtype and g.shape == t.shape
        np.testing.assert_allclose(g, w.grad, tolerance, tolerance)
        t.grad = None
    f(*narrow).backward(np.ones(out.shape), create_graph=True)  # the same rules, run on Tensors
    for g, t in zip(arrays, narrow, strict=True):
        assert t.grad.dtype == dtype
        np.testing.assert_allclose(t.grad.data, g, tolerance, tolerance)


def flat(out):
    """All results of a call that returns a list or a tuple, also of such."""
    return [x for part in out for x in flat(part)] if isinstance(out, (list, tuple)) else [out]


def ours(name):
    """The function of the package, also "linalg.norm", or of `functional` alone."""
    return attrgetter(name)(tinygrad_edu if hasattr(tinygrad_edu, name.partition(".")[0]) else functional)


def joined(function):
    """The function with several results joined to one, so that its derivatives can be checked."""

    def f(*args, **kwargs):
        out = [x for x in flat(function(*args, **kwargs)) if isinstance(x, Tensor) or is_variable(np.asarray(x)[()])]
        return out[0] if len(out) == 1 else tinygrad_edu.concatenate(out, None)

    return f


def check_routes(name, args, params):
    """tinygrad_edu's function, NumPy's and the Tensor method give the same values and the same gradients."""
    routes = [ours(name)]
    with suppress(AttributeError):  # a function that is ours alone
        routes.append(attrgetter(name)(np))
    if callable(getattr(Tensor, name, None)) and is_variable(args[0]):
        routes.append(getattr(Tensor, name))
    results = []
    for route in routes:
        tensors = [Tensor(x) for x in variables(args)]
        out = route(*filled(args, tensors), **params)
        out = [x for x in flat(out) if isinstance(x, Tensor)]
        sum([(y * weights(y.shape)).sum() for y in out]).backward()
        results.append([x for y in out for x in (y.data, y.grad)] + [t.grad for t in tensors])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
