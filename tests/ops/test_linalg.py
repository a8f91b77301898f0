"""Linear algebra where differences of single elements do not reach: symmetric matrices, degenerate ones, errors."""

import math

import numpy as np
import pytest
from finite_differences import check, flat
from numpy.linalg import LinAlgError

import tinygrad_edu
from tinygrad_edu import Tensor, gradients, linalg

rng = np.random.default_rng(7)
STACK = rng.uniform(-1, 1, (2, 3, 3))
EQUAL = np.diag([1.0, 1.0, 3.0])  # two equal eigenvalues, or singular values


def all_of(function):
    """The function with its results in one vector."""
    return lambda *xs: tinygrad_edu.concatenate(flat(function(*xs)), None)


def grad_of(f, *values):
    """The gradients of the sum of f."""
    xs = [Tensor(x) for x in values]
    f(*xs).sum().backward()
    return [np.zeros(x.shape) if x.grad is None else x.grad for x in xs]


def projector(v):
    """All products of two elements, which do not depend on the vector's sign."""
    return linalg.outer(v, v)


SYMMETRIC = {
    "eigh": linalg.eigh,
    "eigh of the upper triangle": lambda x: linalg.eigh(x, UPLO="U"),
    "eigvalsh": lambda x: [linalg.eigvalsh(x)],
    "eigvalsh of the upper triangle": lambda x: [linalg.eigvalsh(x, "U")],
    "cholesky": lambda x: [linalg.cholesky(x @ x + np.eye(3))],
    "upper cholesky": lambda x: [linalg.cholesky(x @ x + np.eye(3), upper=True)],
    "svd": lambda x: linalg.svd(x, hermitian=True),
    "svd without vectors": lambda x: [linalg.svd(x, compute_uv=False, hermitian=True)],
    "pinv": lambda x: [linalg.pinv(x + 4 * np.eye(3), hermitian=True)],
    "pinv that cuts off": lambda x: [linalg.pinv(x, rcond=0.5, hermitian=True)],
}


@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize("x", [STACK, STACK[1]], ids=["stack", "one"])
def test_of_symmetric_matrices(name, x):
    def f(x):
        return all_of(SYMMETRIC[name])(x + x.swapaxes(-1, -2))

    check(f, x)
    x = Tensor(x[..., :3, :3])
    symmetric = Tensor(x.data + x.data.swapaxes(-1, -2))
    out = all_of(SYMMETRIC[name])(symmetric)
    out.backward(rng.uniform(size=out.shape))
    np.testing.assert_allclose(symmetric.grad, symmetric.grad.swapaxes(-1, -2), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.cholesky(x),
        lambda m, x: m.cholesky(x, upper=True),
        lambda m, x: m.eigh(x),
        lambda m, x: m.eigh(x, "U"),
        lambda m, x: m.eigvalsh(x, UPLO="u"),
        lambda m, x: m.svd(x, hermitian=True),
        lambda m, x: m.svd(x, compute_uv=False, hermitian=True),
        lambda m, x: m.pinv(x, hermitian=True),
        lambda m, x: m.pinv(x, rcond=0.5, hermitian=True),
    ],
)
def test_one_triangle_is_read_as_numpy_does(call):
    x = STACK + 3 * np.eye(3)
    for found, expected in zip(flat(call(linalg, Tensor(x))), flat(call(np.linalg, x)), strict=True):
        np.testing.assert_allclose(found.data, expected, rtol=1e-12, atol=1e-14)


def test_svd_of_symmetric_matrices_that_are_not_positive():
    x = STACK + STACK.swapaxes(-1, -2)
    assert (np.linalg.eigvalsh(x) < 0).any(axis=1).all()
    for found, expected in zip(linalg.svd(x, hermitian=True), np.linalg.svd(x, hermitian=True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "f, triangle",
    [
        (lambda x: linalg.eigvalsh(x)[..., 0], np.tril),
        (lambda x: linalg.eigvalsh(x, "U")[..., 0], np.triu),
        (lambda x: linalg.eigh(x).eigenvectors, np.tril),
        (lambda x: linalg.eigh(x, "U").eigenvectors, np.triu),
        (linalg.cholesky, np.tril),
        (lambda x: linalg.cholesky(x, upper=True), np.triu),
    ],
)
def test_gradients_do_not_look_at_the_other_triangle(f, triangle):
    x = STACK + STACK.swapaxes(-1, -2) + 5 * np.eye(3)
    np.testing.assert_allclose(grad_of(f, triangle(x))[0], grad_of(f, x)[0], rtol=1e-12, atol=1e-13)


RESULTS = [
    (linalg.eigh, ("eigenvalues", "eigenvectors")),
    (linalg.svd, ("U", "S", "Vh")),
    (linalg.qr, ("Q", "R")),
    (linalg.slogdet, ("sign", "logabsdet")),
]


@pytest.mark.parametrize("function, fields", RESULTS)
def test_fields_are_numpys(function, fields):
    assert function(Tensor(EQUAL))._fields == fields == getattr(np.linalg, function.__name__)(EQUAL)._fields


VALUES = [
    (linalg.eigvalsh, np.eye(3)),
    (lambda x: linalg.eigh(x).eigenvalues, np.eye(3)),
    (linalg.svdvals, np.eye(3)),
    (lambda x: linalg.svd(x).S, np.eye(3)),
    (lambda x: linalg.svd(x, full_matrices=False).S, np.eye(3)),
    (lambda x: linalg.matrix_norm(x, ord="nuc"), np.eye(3)),
    (lambda x: linalg.trace(linalg.pinv(x)), -np.diag([1, 1, 1 / 9])),
]


@pytest.mark.parametrize("f, slope", VALUES)
def test_gradients_of_values_that_are_equal(f, slope):
    turn = np.linalg.qr(STACK[0]).Q
    for x, expected in [(EQUAL, slope), (turn @ EQUAL @ turn.T, turn @ slope @ turn.T)]:
        x = (x + x.T) / 2
        np.testing.assert_allclose(grad_of(f, x)[0], expected, atol=1e-12)


def test_vectors_of_equal_values_have_no_derivative_and_the_others_have():
    turn = np.linalg.qr(STACK[0]).Q
    equal = turn @ EQUAL @ turn.T  # eigenvalues that are equal up to rounding
    for x in (EQUAL, (equal + equal.T) / 2):
        assert np.isnan(grad_of(lambda x: linalg.eigh(x).eigenvectors[:, :2], x)[0]).any()
        assert np.isnan(grad_of(lambda x: linalg.svd(x).U[:, 1:], x)[0]).any()
        assert np.isnan(grad_of(lambda x: linalg.svd(x).Vh[1:], x)[0]).any()
        check(lambda x: projector(linalg.eigh(x + x.T).eigenvectors[:, 2]), x, order=1)
        check(lambda x: projector(linalg.svd(x).U[:, 0]), x, order=1)


@pytest.mark.parametrize("x", [np.zeros((2, 2)), np.zeros((3, 2)), np.zeros((2, 3))])
def test_singular_values_of_zero(x):
    for f in (linalg.svdvals, lambda x: linalg.svd(x, full_matrices=False).S, lambda x: linalg.norm(x, 2)):
        assert not grad_of(f, x)[0].any()
    tall = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(grad_of(linalg.svdvals, tall)[0], tall)
    for x in (tall, np.outer([1.0, 2.0, 3.0], [0.1, 0.3])):
        assert np.isnan(grad_of(lambda x: linalg.svd(x, full_matrices=False).U, x)[0]).any()
    check(lambda x: projector(linalg.svd(x, full_matrices=False).U[:, 0]), tall, order=1)


def test_vectors_that_complete_a_basis_have_no_derivative():
    tall = rng.uniform(size=(4, 2))
    check(lambda x: linalg.svd(x).U[:, :2] @ linalg.svd(x).Vh, tall)
    check(lambda x: linalg.qr(x, mode="complete").Q[:, :2], tall)
    check(lambda x: linalg.qr(x, mode="complete").R, tall)
    for f, what in [
        (lambda x: linalg.svd(x).U, "svd: columns of U that only complete the basis"),
        (lambda x: linalg.svd(x.T).Vh, "svd: rows of Vh"),
        (lambda x: linalg.qr(x, mode="complete").Q, "qr: columns of Q"),
    ]:
        with pytest.raises(LinAlgError, match=what):
            grad_of(f, tall)


SINGULAR = [
    [[0.0]],
    [[1.0, 2.0], [2.0, 4.0]],
    np.zeros((2, 2)),
    np.ones((3, 3)),
    np.arange(9.0).reshape(3, 3),
    [np.eye(3), np.diag([1.0, 2.0, 0.0])],
    np.diag([2.0, 0, 0, 3]),
]


@pytest.mark.parametrize("x", SINGULAR)
def test_determinants_of_singular_matrices(x):
    check(linalg.det, np.array(x))


def test_determinants_of_large_singular_and_tiny_matrices():
    x = np.diag(np.r_[np.full(59, 1.5), 0.0])
    np.testing.assert_allclose(grad_of(linalg.det, x)[0], np.diag(np.r_[np.zeros(59), 1.5**59]), atol=1e-12 * 1.5**59)
    np.testing.assert_array_equal(grad_of(linalg.det, 1e-200 * np.eye(2))[0], 1e-200 * np.eye(2))


def test_slogdet_of_singular_and_huge_matrices():
    x = Tensor(1e200 * np.eye(3))
    sign, logarithm = linalg.slogdet(x)
    (logarithm + sign).backward()
    assert sign.data == 1 and np.isclose(logarithm.data, 600 * math.log(10))
    np.testing.assert_allclose(x.grad, 1e-200 * np.eye(3))
    assert linalg.slogdet(Tensor(np.ones((2, 2)))).logabsdet.data == -np.inf
    with pytest.raises(LinAlgError, match="slogdet: a singular matrix"):
        grad_of(lambda x: linalg.slogdet(x).logabsdet, np.ones((2, 2)))


ORDERS = [None, 1, 2, 3, 1.5, np.inf, 0.5, 0]


@pytest.mark.parametrize("order", ORDERS)
def test_vector_norms_at_zero(order):
    assert grad_of(lambda x: linalg.norm(x, order), np.zeros(3))[0].tolist() == [0, 0, 0]
    assert grad_of(lambda x: linalg.vector_norm(x, ord=order), np.zeros((2, 0)))[0].shape == (2, 0)
    found = grad_of(lambda x: linalg.norm(x, order, axis=1), np.array([[0.0, 0.0], [0.0, -2.0]]))[0]
    np.testing.assert_allclose(found, [[0, 0], [0, 0 if order == 0 else -1]], rtol=1e-15)


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, 2, np.inf])
def test_matrix_norms_at_zero(order):
    assert not grad_of(lambda x: linalg.norm(x, order, axis=(0, 1)), np.zeros((2, 3)))[0].any()
    assert linalg.matrix_norm(Tensor(np.zeros((2, 0, 3))), ord=order).data.tolist() == [0, 0]


def test_negative_orders_of_vectors_with_a_zero():
    x = Tensor([0.0, 2.0])
    out = linalg.norm(x, -1)
    out.backward()
    assert out.data == 0 and x.grad.tolist() == [0, 0]


@pytest.mark.parametrize("order", [None, 2, 3])
def test_norms_of_nan(order):
    assert np.isnan(grad_of(lambda x: linalg.norm(x, order), np.array([np.nan, 1.0]))[0]).all()


@pytest.mark.parametrize("order", [None, 1, 2, 3, np.inf, -np.inf, 0, -1])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
def test_norms_of_small_integers(order, dtype):
    x = np.array([200, 250, 128, 1]).astype(dtype)
    np.testing.assert_allclose(linalg.norm(x, order), np.linalg.norm(x.astype(float), order))
    np.testing.assert_allclose(linalg.vector_norm(x.reshape(2, 2), ord=order), np.linalg.norm(x.astype(float), order))


@pytest.mark.parametrize(
    "kwargs", [{}, {"ord": 1}, {"ord": 3, "axis": 0}, {"ord": np.inf}, {"ord": "fro"}, {"axis": 0}, {"ord": -1}]
)
def test_norms_of_float16(kwargs):
    x = rng.uniform(0.5, 2, (3, 3)).astype(np.float16)
    t = Tensor(x)
    out, expected = linalg.norm(t, **kwargs), np.linalg.norm(x, **kwargs)
    np.testing.assert_allclose(out.data, expected, rtol=2e-3)
    out.backward(np.ones(out.shape))
    assert out.dtype == expected.dtype == t.grad.dtype == np.float16


def test_pinv_of_equal_singular_values_and_of_a_lower_rank():
    for x in (np.eye(3), np.eye(3, 2), 2 * np.eye(2, 3), np.array([[0.0, 1.0], [-1.0, 0.0]])):
        check(linalg.pinv, x)
    check(lambda a, b: linalg.pinv(a @ b), rng.uniform(size=(3, 2)), rng.uniform(size=(2, 4)))
    np.testing.assert_array_equal(grad_of(linalg.pinv, np.zeros((2, 3)))[0], np.zeros((2, 3)))


def test_pinv_that_cuts_off():
    x = np.diag([4.0, 2.0, 1.0]) + 0.1 * STACK
    for kwargs in ({"rcond": 0.4}, {"rtol": 0.6}, {"rcond": np.array([0.4, 0.1])}):
        np.testing.assert_allclose(linalg.pinv(Tensor(x), **kwargs).data, np.linalg.pinv(x, **kwargs), atol=1e-14)
        check(lambda x, kwargs=kwargs: linalg.pinv(x, **kwargs), x)
    with pytest.raises(ValueError, match="pinv: rcond and rtol"):
        linalg.pinv(Tensor(x), rcond=0.1, rtol=0.1)
    with pytest.raises(TypeError, match="pinv: no gradient flows to rcond"):
        linalg.pinv(Tensor(x), rcond=Tensor(0.1))
    assert linalg.pinv([[2, 0], [0, 4]]).tolist() == [[0.5, 0], [0, 0.25]]


def test_lstsq_of_a_lower_rank():
    x, y = rng.uniform(size=(4, 2)) @ rng.uniform(size=(2, 3)), rng.uniform(size=(4, 2))
    solution, residuals, rank, s = linalg.lstsq(Tensor(x), Tensor(y))
    expected = np.linalg.lstsq(x, y)
    np.testing.assert_allclose(solution.data, expected[0], rtol=1e-10)
    np.testing.assert_allclose(s.data, expected[3], atol=1e-14)
    assert residuals.shape == (0,) and rank == 2 and type(rank) is int
    check(lambda a, b, y: linalg.lstsq(a @ b, y)[0], rng.uniform(size=(4, 2)), rng.uniform(size=(2, 3)), y)


def test_lstsq_with_rcond_and_mixed_operands():
    x, y = np.diag([3.0, 2.0, 0.1])[:, :3], rng.uniform(size=3)
    assert linalg.lstsq(Tensor(x), y, rcond=0.1)[2] == 2
    np.testing.assert_allclose(linalg.lstsq(x, Tensor(y), 0.1)[0].data, np.linalg.lstsq(x, y, 0.1)[0], rtol=1e-13)
    check(lambda x: linalg.lstsq(x, y, rcond=0.1)[0], x)
    narrow = Tensor(x, dtype=np.float32)
    solution = linalg.lstsq(narrow, y)[0]
    solution.sum().backward()
    np.testing.assert_allclose(solution.data, np.linalg.lstsq(narrow.data, y)[0], rtol=1e-13)
    assert solution.dtype == np.float64 and narrow.grad.dtype == np.float32
    assert linalg.lstsq([[1, 0], [0, 2]], [3, 4])[0].tolist() == [3, 2]


@pytest.mark.parametrize("p", [None, 2, -2, 1, np.inf, "fro"])
def test_condition_of_singular_matrices(p):
    x = np.stack([np.zeros((2, 2)) if p == -2 else np.diag([1.0, 0.0]), np.diag([1.0, 4.0])])
    t = Tensor(x)
    out = linalg.cond(t, p)
    out.sum().backward()
    assert out.data[0] == np.inf and not t.grad[0].any() and t.grad[1].any()
    np.testing.assert_allclose(out.data[1], np.linalg.cond(x[1], p))


def test_powers_of_matrices():
    x = Tensor(STACK)
    out = linalg.matrix_power(x, 0)
    out.backward(np.ones(out.shape))
    assert (out.data == np.eye(3)).all() and not x.grad.any()
    whole = np.array([[1, 1], [0, 1]])
    for n in (0, 1, 2, 7):
        np.testing.assert_array_equal(linalg.matrix_power(whole, n), np.linalg.matrix_power(whole, n), strict=True)
    with pytest.raises(TypeError):
        linalg.matrix_power(x, 0.5)


def test_multi_dot_takes_the_cheapest_order():
    xs = [Tensor(np.ones(shape)) for shape in [(10, 100), (100, 5), (5, 50)]]
    assert [x.shape for x in linalg.multi_dot(xs)._inputs] == [(10, 5), (5, 50)]
    assert [x.shape for x in linalg.multi_dot([x.T for x in xs[::-1]])._inputs] == [(50, 5), (5, 10)]


EMPTY = [
    (linalg.inv, (0, 2, 2), (0, 2, 2)),
    (linalg.inv, (0, 0), (0, 0)),
    (linalg.det, (0, 0), ()),
    (linalg.det, (0, 3, 3), (0,)),
    (lambda x: linalg.slogdet(x).logabsdet, (0, 2, 2), (0,)),
    (linalg.cholesky, (0, 2, 2), (0, 2, 2)),
    (lambda x: linalg.eigh(x).eigenvectors, (0, 0), (0, 0)),
    (lambda x: linalg.svd(x, full_matrices=False).U, (3, 0), (3, 0)),
    (linalg.svdvals, (2, 0, 3), (2, 0)),
    (linalg.pinv, (0, 3), (3, 0)),
    (lambda x: linalg.qr(x).R, (0, 3), (0, 3)),
    (lambda x: linalg.qr(x).Q, (3, 0), (3, 0)),
    (lambda x: linalg.lstsq(x, np.ones(3))[0], (3, 0), (0,)),
]


@pytest.mark.parametrize("f, shape, result", EMPTY)
def test_empty_matrices(f, shape, result):
    x = Tensor(np.ones(shape))
    out = f(x)
    out.backward(np.ones(out.shape))
    assert out.shape == result and x.grad.shape == shape


def test_a_vector_on_the_right_has_one_dimension():
    x = 3 * np.eye(3) + STACK
    check(linalg.solve, x, rng.uniform(size=3))
    check(linalg.solve, x[0], rng.uniform(size=(2, 3, 1)))
    with pytest.raises(ValueError, match=r"solve: .*core dimension"):
        linalg.solve(Tensor(x), np.ones((2, 4)))


ERRORS = [
    (linalg.inv, np.ones((2, 3)), LinAlgError, r"inv of \(2, 3\) float64: .*square"),
    (linalg.inv, np.ones((2, 2)), LinAlgError, r"inv of \(2, 2\) float64: Singular"),
    (linalg.inv, np.ones(2), LinAlgError, "inv of"),
    (lambda x: linalg.solve(x, x), np.ones((2, 2)), LinAlgError, "solve of .*Singular"),
    (linalg.det, np.ones((2, 3)), LinAlgError, "det of"),
    (linalg.slogdet, np.ones((2, 3)), LinAlgError, "slogdet of"),
    (linalg.cholesky, -np.eye(2), LinAlgError, "cholesky of .*positive definite"),
    (linalg.eigh, np.ones((2, 3)), LinAlgError, "eigh of"),
    (linalg.eigh, np.ones(3), LinAlgError, "eigh of"),
    (lambda x: linalg.eigh(x, UPLO="M"), np.eye(2), ValueError, "eigh of .*UPLO"),
    (linalg.eigvalsh, np.ones((2, 3)), LinAlgError, "eigvalsh of"),
    (linalg.svd, np.ones(3), LinAlgError, "svd of"),
    (linalg.svdvals, np.ones(3), LinAlgError, "svdvals of"),
    (linalg.qr, np.ones(3), LinAlgError, "qr of"),
    (lambda x: linalg.qr(x, mode="raw"), np.eye(2), ValueError, "qr: mode 'raw'"),
    (linalg.pinv, np.ones(3), LinAlgError, "pinv of"),
    (lambda x: linalg.lstsq(x, np.ones(3)), np.eye(2), LinAlgError, "lstsq: takes"),
    (lambda x: linalg.matrix_power(x, 2), np.ones((2, 3)), LinAlgError, "matrix_power: .*square"),
    (lambda x: linalg.matrix_power(x, -1), np.ones((2, 2)), LinAlgError, "inv of .*Singular"),
    (lambda x: linalg.multi_dot([x]), np.eye(2), ValueError, "multi_dot: takes at least two"),
    (lambda x: linalg.multi_dot([x, x[0], x]), np.eye(2), LinAlgError, "multi_dot: takes matrices"),
    (lambda x: linalg.tensorsolve(x, np.ones(2)), np.ones((2, 3)), LinAlgError, "tensorsolve: "),
    (lambda x: linalg.tensorinv(x, 0), np.eye(2), ValueError, "tensorinv: ind"),
    (lambda x: linalg.outer(x, x), np.eye(2), ValueError, "outer: "),
    (lambda x: linalg.cross(x, x), np.eye(2), ValueError, "cross: "),
    (linalg.matrix_transpose, np.ones(2), ValueError, "matrix_transpose: "),
    (lambda x: linalg.norm(x, "fro"), np.ones(2), ValueError, "norm: invalid norm order 'fro' for vectors"),
    (lambda x: linalg.norm(x, 3), np.eye(2), ValueError, "norm: invalid norm order 3 for matrices"),
    (lambda x: linalg.norm(x, 2), np.ones((2, 2, 2)), ValueError, "norm: takes vectors or matrices"),
    (lambda x: linalg.norm(x, axis=(0, 0)), np.eye(2), ValueError, "repeated axis"),
    (lambda x: linalg.norm(x, x.sum()), np.ones(2), TypeError, "norm: no gradient flows to ord"),
    (lambda x: linalg.norm(x, -np.inf), np.ones(0), ValueError, "zero-size"),
    (linalg.cond, np.ones((0, 2)), LinAlgError, "cond: "),
    (lambda x: linalg.inv(x.astype(np.float16)), np.eye(2), TypeError, "inv of .*float16"),
    (lambda x: linalg.trace(x, dtype=int), np.eye(2), TypeError, "astype: int64 has no gradients"),
]


@pytest.mark.parametrize("f, x, error, message", ERRORS)
def test_errors_name_the_function(f, x, error, message):
    with pytest.raises(error, match=message):
        f(Tensor(x))


def test_qr_of_dependent_columns():
    x = np.ones((3, 2))
    assert linalg.qr(Tensor(x)).R.shape == (2, 2)
    for dependent in (x, np.diag([1.0, 0.0, 2.0]), np.arange(9.0).reshape(3, 3)):
        with pytest.raises(LinAlgError, match="qr: a matrix whose first columns are linearly dependent"):
            grad_of(lambda x: linalg.qr(x).R, dependent)


def test_traces_in_another_dtype():
    x = Tensor(np.eye(3), dtype=np.float32)
    out = linalg.trace(x, dtype=np.float64)
    out.backward()
    assert out.dtype == np.float64 and x.grad.dtype == np.float32 and (x.grad == np.eye(3)).all()
    small = np.full((3, 3), 200, np.uint8)
    assert linalg.trace(small) == 600 and linalg.trace(small, dtype=np.uint8) == np.linalg.trace(small, dtype=np.uint8)


def test_gradients_of_gradients_of_equal_values_are_nan():
    x = Tensor(EQUAL)
    (slope,) = gradients(linalg.eigvalsh(x)[0], [x], create_graph=True)
    assert np.isnan(gradients(slope[0, 1], [x])[0]).any()


def moved(f, x):
    """How f moves along a direction without zeros: a gradient at 0 that came by chance must not count as none."""
    return tinygrad_edu.jvp(f, (x,), (np.arange(1.0, x.size + 1).reshape(x.shape),))[1]


def test_moves_of_equal_values_and_of_their_vectors():
    turn = np.arange(1.0, 10).reshape(3, 3)  # the direction
    found = moved(lambda x: linalg.eigh(x).eigenvalues, EQUAL)
    np.testing.assert_allclose([found[:2].sum(), found[2]], [np.trace(turn[:2, :2]), 9])
    assert np.isnan(moved(lambda x: linalg.eigh(x).eigenvectors, EQUAL)).any()


@pytest.mark.parametrize("full_matrices", [True, False])
def test_moves_of_singular_values_and_of_vectors_without_a_derivative(full_matrices):
    tall = np.diag([1.0, 2.0, 4.0, 0.0])[:, :3]
    svd = lambda x: linalg.svd(x, full_matrices)
    np.testing.assert_allclose(moved(lambda x: svd(x).S, tall), [9, 5, 1], atol=1e-12)
    assert np.isnan(moved(lambda x: svd(x).U, tall)).any() == full_matrices
    mode = "complete" if full_matrices else "reduced"
    assert np.isnan(moved(lambda x: linalg.qr(x, mode).Q, tall)).any() == full_matrices
    found = moved(lambda x: linalg.qr(x, mode).R, tall)
    np.testing.assert_allclose(np.abs(np.diag(found)), [1, 5, 9], atol=1e-12)


@pytest.mark.parametrize("axis", [None, 0])
def test_the_norm_of_float16_loses_no_count(axis):
    x = Tensor(np.ones((10_000, 1)), dtype=np.float16)
    out = linalg.norm(x, axis=axis)
    assert out.dtype == np.float16 and (out.data == 100).all()
    out.backward(np.ones(out.shape))
    np.testing.assert_allclose(x.grad, 0.01, rtol=1e-3)


@pytest.mark.parametrize("shape", [(50_000, 2), (2, 50_000)])
def test_a_pseudo_inverse_takes_no_square_of_the_long_side(shape):
    x = Tensor(np.random.default_rng(0).normal(size=shape))
    linalg.pinv(x).sum().backward()  # 20 GB, if it did
    assert np.isfinite(x.grad).all()
