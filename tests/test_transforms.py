"""Transforms against closed forms, finite differences and each other."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu import Tensor, grad, gradients, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
ARRAYS = hnp.arrays(float, SHAPES, elements=st.floats(-2, 2).map(lambda x: round(x, 3)))


def cubes(x):
    """Each element's cube plus the product of neighbours: a Jacobian that is not diagonal."""
    return x**3 + tg.roll(x, 1) * x


def numeric_jacobian(f, x, eps=1e-5):
    out = f(Tensor(x)).numpy()
    columns = np.zeros((*out.shape, *x.shape))
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = eps
        columns[(..., *i)] = (f(Tensor(x + step)).numpy() - f(Tensor(x - step)).numpy()) / (2 * eps)
    return columns


@pytest.mark.parametrize("order", range(6))
def test_grad_of_grad_to_any_order(order):
    f = lambda x: x**5
    for _ in range(order):
        f = grad(f)
    expected = np.prod(np.arange(5, 5 - order, -1.0)) * 2.0 ** (5 - order)
    assert float(f(2.0) if order else f(Tensor(2.0))) == pytest.approx(expected)


@given(ARRAYS)
def test_jacobian_has_the_shape_output_plus_input(x):
    found = jacobian(cubes)(x)
    assert found.shape == x.shape + x.shape
    np.testing.assert_allclose(found, numeric_jacobian(cubes, x), rtol=1e-6, atol=1e-8)


@given(ARRAYS)
def test_hessian_is_the_jacobian_of_the_gradient(x):
    scalar = lambda v: cubes(v).sum()
    found = hessian(scalar)(x)
    assert np.shape(found) == x.shape + x.shape
    np.testing.assert_allclose(found, jacobian(lambda v: jacobian(scalar)(v))(x), atol=1e-12)
    np.testing.assert_allclose(found, numeric_jacobian(lambda v: Tensor(grad(scalar)(v.data)), x), rtol=1e-6, atol=1e-7)


def test_jacobian_between_different_shapes_and_of_a_constant():
    weights = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(jacobian(lambda x: weights @ x)(np.ones(3)), weights)
    assert jacobian(lambda x: tg.stack([x.sum(), x.sum()]).reshape(2, 1))(np.ones((2, 2))).shape == (2, 1, 2, 2)
    assert jacobian(lambda x: Tensor(np.ones((0, 2))) * x)(3.0).shape == (0, 2)
    np.testing.assert_array_equal(hessian(lambda x: (2 * x).sum())(np.ones(2)), np.zeros((2, 2)))


@given(ARRAYS, st.randoms(use_true_random=False))
def test_jvp_vjp_and_jacobian_agree(x, random):
    rng = np.random.default_rng(random.randrange(2**32))
    v, g = rng.normal(size=x.shape), rng.normal(size=x.shape)
    matrix = jacobian(cubes)(x).reshape(x.size, x.size)
    out, moved = jvp(cubes, (x,), (v,))
    value, pull = vjp(cubes, x)
    np.testing.assert_array_equal(out, value)
    np.testing.assert_allclose(np.ravel(moved), matrix @ v.ravel(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.ravel(pull(g)[0]), g.ravel() @ matrix, rtol=1e-9, atol=1e-9)


@given(ARRAYS)
def test_hvp_is_hessian_times_vector(x):
    scalar = lambda y: cubes(y).sum()
    v = np.cos(x)
    matrix = np.reshape(hessian(scalar)(x), (x.size, x.size))
    np.testing.assert_allclose(np.ravel(hvp(scalar, x, v)), matrix @ np.ravel(v), rtol=1e-9, atol=1e-9)


def test_jvp_of_jvp_is_the_second_derivative():
    first = lambda x: jvp(lambda y: y**4, (x,), (1.0,))[1]
    assert jvp(first, (3.0,), (1.0,)) == (pytest.approx(108.0), pytest.approx(108.0))
    assert grad(first)(3.0) == pytest.approx(108.0)


def test_jvp_along_several_arguments():
    assert jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0)) == (6.0, 23.0)


def test_perturbations_are_not_confused():
    assert grad(lambda x: x * grad(lambda y: x + y)(x))(2.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(1.0) == 2.0


def test_argnum():
    f = lambda x, y: x**2 * y
    assert grad(f)(3.0, 2.0) == 12.0
    assert grad(f, 1)(3.0, 2.0) == 9.0
    assert grad(f, argnum=-1)(3.0, 2.0) == 9.0
    assert grad(f, (0, 1))(3.0, 2.0) == (12.0, 9.0)
    assert value_and_grad(f, 1)(3.0, 2.0) == (18.0, 9.0)
    assert jacobian(f, 1)(3.0, 2.0) == 9.0
    assert hessian(f)(3.0, 2.0) == 4.0


def test_arrays_in_arrays_out_and_tensors_where_gradients_flow_on():
    assert isinstance(grad(lambda x: x.sum())([1, 2]), np.ndarray)
    a = Tensor(2.0)
    found = grad(lambda x: a * x * x)(3.0)  # closes over a: its derivative with respect to a is not lost
    assert type(found) is Tensor
    found.backward()
    assert a.grad == 6.0
    x = Tensor(3.0)
    grad(lambda y: y**3)(x).backward()
    assert x.grad == 18.0
    jacobian(lambda y: y**3 * np.ones(2))(x).sum().backward()
    assert x.grad == 18.0 + 36.0
    jvp(lambda y: y**3, (x,), (1.0,))[1].backward()
    assert x.grad == 54.0 + 18.0
    assert grad(lambda b: grad(lambda y: b * y * y)(3.0))(2.0) == 6.0
    assert type(grad(lambda b: grad(lambda y: b * y * y)(3.0))(2.0)) is not Tensor
    pulled = grad(lambda b: vjp(lambda y: b * y * y, 3.0)[1](1.0)[0])(2.0)
    assert pulled == 6.0 and type(pulled) is not Tensor


def test_no_grad_outside_is_respected_and_does_not_disable_the_transform():
    a = Tensor(2.0)
    with no_grad():
        assert grad(lambda x: a * x * x)(3.0) == 12.0
        assert grad(lambda x: a * x * x)(a) == 8.0
        assert grad(grad(lambda x: a * x * x))(Tensor(3.0)) == 4.0
        assert hvp(lambda x: x**3, a, 1.0) == 12.0
        assert type(grad(lambda x: a * x * x)(3.0)) is not Tensor


def test_transforms_leave_grad_attributes_alone():
    a, x = Tensor(2.0), Tensor(3.0)
    y = a * x
    y.backward()
    before = a.grad, x.grad, y.grad
    grad(lambda t: t * a * y)(x)
    gradients(y, [a, x], create_graph=True)
    assert (a.grad, x.grad, y.grad) == before


def test_float32_stays_float32():
    x = np.ones(3, np.float32)
    assert grad(lambda t: (t * 2).sum())(x).dtype == np.float32
    assert jacobian(lambda t: t * 2)(x).dtype == np.float32
    assert jvp(lambda t: t * 2, (x,), (x,))[1].dtype == np.float32


def test_gradients_of_leaves_intermediates_and_strangers():
    x, stranger = Tensor([1.0, 2.0]), Tensor(np.ones((2, 2)))
    h = x * x
    out = (h * 3).sum()
    by_x, by_h, by_stranger = gradients(out, iter([x, h, stranger]))
    np.testing.assert_array_equal(by_x, [6.0, 12.0])
    np.testing.assert_array_equal(by_h, [3.0, 3.0])
    np.testing.assert_array_equal(by_stranger, np.zeros((2, 2)))
    (by_x,) = gradients(h, [x], gradient=np.array([1.0, 10.0]))
    np.testing.assert_array_equal(by_x, [2.0, 40.0])
    (by_x,) = gradients(h.sum(), [x], create_graph=True)
    np.testing.assert_array_equal(gradients(by_x.sum(), [x])[0], [2.0, 2.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(lambda x: x * 2)(np.ones(2)), ValueError, r"shape \(2,\).*jacobian"),
        (lambda: grad(lambda x: float(x))(1.0), TypeError, r"returned float.*float\(\)"),
        (lambda: grad(lambda x: x.data)(1.0), TypeError, "returned float64"),
        (lambda: grad(lambda x: x, argnum=1)(1.0), ValueError, "argnum 1"),
        (lambda: jvp(lambda x: x, (1.0,), (1.0, 2.0)), ValueError, "1 primals"),
        (lambda: jvp(lambda x: x, (1.0,), (np.ones(2),)), ValueError, r"tangent has shape \(2,\)"),
        (lambda: gradients(Tensor(1.0) * 2, [Tensor(1.0, requires_grad=False)]), ValueError, "requires_grad=False"),
        (lambda: gradients(Tensor(np.ones(2)) * 2, []), ValueError, "gradient="),
        (lambda: gradients(Tensor(1.0, requires_grad=False), []), RuntimeError, "constant"),
        (lambda: gradients(Tensor(1.0) * 2, Tensor(1.0)), TypeError, r"gradients\(loss, \[w\]\)"),
        (lambda: jvp(lambda x: x, 1.0, 1.0), TypeError, "sequences"),
        (lambda: jacobian(lambda x: x, (0, 1)), TypeError, "one argument"),
        (lambda: vjp(lambda x: x * 2, np.ones(2))[1](np.ones(3)), ValueError, r"gradient has shape \(3,\)"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
