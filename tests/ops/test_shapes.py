"""Shapes, indices and joins: forms of arguments, special values and errors that the walk over domains leaves out."""

import numpy as np
import pytest
from finite_differences import check, flat

import tinygrad_edu
from tinygrad_edu import Tensor, ops, sums
from tinygrad_edu.engine import plain

cube = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) + np.linspace(0.1, 0.3, 24).reshape(2, 3, 4)
square, line, number = cube[0, :3, :3], cube[1, 0], np.float64(2.5)
ALIKE = [  # calls of NumPy's functions or ours, and the array
    (lambda m, x: m.reshape(x, 24, order="F"), cube),
    (lambda m, x: m.reshape(x, (4, -1), order="F"), cube),
    (lambda m, x: m.reshape(x, [], order="F"), number),
    (lambda m, x: m.ravel(x, order="F"), cube),
    (lambda m, x: m.rollaxis(x, -1), cube),
    (lambda m, x: m.rollaxis(x, 0, 3), cube),
    (lambda m, x: m.rollaxis(x, 2, -2), cube),
    (lambda m, x: m.atleast_3d(x, x[0], x[0, 0, 0]), cube),
    (lambda m, x: m.atleast_1d(x, [1, 2]), number),
    (lambda m, x: m.atleast_2d(), cube),
    (lambda m, x: m.broadcast_arrays(x, x[0], x[0, 0, 0], 1.0), cube),
    (lambda m, x: m.meshgrid(x, x[:2], 3.0), line),
    (lambda m, x: m.meshgrid(), line),
    (lambda m, x: m.repeat(x, 3, axis=0), number),
    (lambda m, x: m.repeat(x, [2], axis=-2), cube),
    (lambda m, x: m.repeat(x, [2, 0, 1], axis=1), cube),
    (lambda m, x: m.repeat(x, 0), cube),
    (lambda m, x: m.roll(x, (1, -1), (0, 0)), cube),
    (lambda m, x: m.roll(x, 2, (0, -1)), cube),
    (lambda m, x: m.roll(x, (1, 2), 1), cube),
    (lambda m, x: m.roll(x, (1, 2)), cube),
    (lambda m, x: m.roll(x, 1), number),
    (lambda m, x: m.roll(x[:0], 1, 0), cube),
    (lambda m, x: m.flip(x), number),
    (lambda m, x: m.sort(x, None), number),
    (lambda m, x: m.sort(x, kind="heapsort"), cube),
    (lambda m, x: m.sort(x, axis=0, stable=True), cube),
    (lambda m, x: m.partition(x, 0, None), number),
    (lambda m, x: m.partition(x, (0, -1), axis=-2), cube),
    (lambda m, x: m.unique(x), number),
    (lambda m, x: m.take(x, [[0, 0]], axis=0), number),
    (lambda m, x: m.take(x, -1, axis=1), cube),
    (lambda m, x: m.take(x, [7, -9], axis=2, mode="wrap"), cube),
    (lambda m, x: m.take(x, [7, -9], axis=2, mode="clip"), cube),
    (lambda m, x: m.compress([True], x, axis=0), number),
    (lambda m, x: m.compress([0, 2], x, axis=1), cube),
    (lambda m, x: m.extract([1, 0, 1], x), cube),
    (lambda m, x: m.append(x, 1.0), number),
    (lambda m, x: m.append(x, [[1, 2, 3]], axis=0), square),
    (lambda m, x: m.insert(x, 0, 2.0), number),
    (lambda m, x: m.insert(x, 1, [1, 2, 3], axis=1), square),
    (lambda m, x: m.insert(x, [1], [[1], [2], [3]], axis=1), square),
    (lambda m, x: m.insert(x, [0, 0, -1, 3], [5, 6, 7, 8], axis=1), square),
    (lambda m, x: m.insert(x, np.array([], int), 1, axis=0), square),
    (lambda m, x: m.delete(x, 0), number),
    (lambda m, x: m.delete(x, [0, 0, -1], axis=1), cube),
    (lambda m, x: m.delete(x, slice(None, None, -2), axis=2), cube),
    (lambda m, x: m.array_split(x, 5, axis=1), cube),
    (lambda m, x: m.split(x, [2, 1, -1], axis=2), cube),
    (lambda m, x: m.hsplit(x, 2), line),
    (lambda m, x: m.rot90(x, 5, (2, 0)), cube),
    (lambda m, x: m.diag(x, -3), line),
    (lambda m, x: m.diag(x, 7), square),
    (lambda m, x: m.diagflat(x, 1), square),
    (lambda m, x: m.diagflat(x), number),
    (lambda m, x: m.diagonal(x, -1, -1, 0), cube),
    (lambda m, x: m.diagonal(x, 9), cube),
    (lambda m, x: m.trace(x, 1, 2, 1), cube),
    (lambda m, x: m.vander(x, 3), line),
    (lambda m, x: m.resize(x[:0], (2, 1)), line),
    (lambda m, x: m.resize(x, (5, 2)), number),
    (lambda m, x: m.trim_zeros(x * (x > 15)), line),
    (lambda m, x: m.trim_zeros(x * 0, "f"), line),
    (lambda m, x: m.block([[x, x[:, :1]], [x[:1], 1.0]]), square),
    (lambda m, x: m.block([[[x]], [[x * 2]]]), number),
    (lambda m, x: m.block([x, x[:, :0]]), square),
    (lambda m, x: m.block(x), number),
    (lambda m, x: m.vstack(x), cube),
    (lambda m, x: m.hstack([x[0], 1.0, 2]), square),
    (lambda m, x: m.column_stack([x[0], x, np.arange(3)]), square),
    (lambda m, x: m.concatenate(x, axis=1), cube),
    (lambda m, x: m.pad(x, 1), number),
    (lambda m, x: m.pad(x[:0], 2, constant_values=3), line),
    (lambda m, x: m.pad(x[:0], ((0, 0), (1, 2)), "edge"), square),
    (lambda m, x: m.pad(x, (9, 11), "reflect", reflect_type="odd"), line),
    (lambda m, x: m.pad(x, (9, 11), "symmetric", reflect_type="odd"), line),
    (lambda m, x: m.pad(x, (13, 2), "wrap"), line),
    (lambda m, x: m.pad(x[:1], (2, 1), "reflect", reflect_type="odd"), line),
    (lambda m, x: m.pad(x, ((1, 0), (0, 2)), "median", stat_length=((1, 2), (3, 2))), square),
    (lambda m, x: m.pad(x, 3, "linear_ramp", end_values=((1, 2), (3, 4))), square),
    (lambda m, x: m.linspace(x, 3, 4, retstep=True, endpoint=False), square),
    (lambda m, x: m.linspace(0, x, 3, axis=-1), square),
    (lambda m, x: m.linspace(x, [1.0, 2.0, 3.0], 1), square),
    (lambda m, x: m.linspace(x, 2, 0), line),
    (lambda m, x: m.geomspace(x, 3, 4, axis=-1), square),
    (lambda m, x: m.geomspace(-2, -x, 3, endpoint=False), line),
    (lambda m, x: m.logspace(x / 9, 2, 3, base=2.0), line),
    (lambda m, x: m.logspace(0, 2, 3, base=x), line),
    (lambda m, x: m.logspace([0.0, 1.0, 2.0], 2, 3, base=x, axis=-1), square),
]


def joined(call, module):
    """All results of a call, in one vector."""
    return lambda x: tinygrad_edu.concatenate([part * 1.0 for part in flat(call(module, x))], None)


@pytest.mark.parametrize("call, x", ALIKE)
def test_values_and_derivatives(call, x):
    expected, plain_out, out = call(np, x), call(ops, x), call(ops, Tensor(x))
    for e, p, t in zip(flat(expected), flat(plain_out), flat(out), strict=True):
        for values in (p, plain(t)):
            np.testing.assert_allclose(values, e, rtol=1e-12, atol=1e-13)
            assert np.shape(values) == np.shape(e) and np.asarray(values).dtype == np.asarray(e).dtype
    if flat(out) and any(isinstance(t, Tensor) for t in flat(out)):
        check(joined(call, ops), x)


REFUSED = [  # call, array, type, words of the message
    (lambda m, x: m.reshape(x, 4, order="A"), line, ValueError, "lies in memory"),
    (lambda m, x: m.reshape(x, (3, -1), order="F"), line, ValueError, "reshape"),
    (lambda m, x: m.rollaxis(x, 0, 4), cube, ValueError, "axis|out of bounds"),
    (lambda m, x: m.rollaxis(x, 3), cube, ValueError, "axis"),
    (lambda m, x: m.matrix_transpose(x), line, ValueError, "at least 2-dimensional"),
    (lambda m, x: m.broadcast_arrays(x, x[:3]), line, ValueError, "broadcast"),
    (lambda m, x: m.meshgrid(x, x, indexing="yx"), line, ValueError, "neither 'xy' nor 'ij'"),
    (lambda m, x: m.resize(x, -2), line, ValueError, "negative"),
    (lambda m, x: m.stack([x, x[:2]]), line, ValueError, "one shape"),
    (lambda m, x: m.stack([]), line, ValueError, "one shape"),
    (lambda m, x: m.stack([x], 2), line, ValueError, "axis"),
    (lambda m, x: m.concatenate([]), line, ValueError, "at least one"),
    (lambda m, x: m.concatenate([x, x]), number, ValueError, "zero-dimensional"),
    (lambda m, x: m.concatenate([x, x], dtype=int), line, TypeError, "int64 has no gradients"),
    (lambda m, x: m.block([x, []]), line, ValueError, "empty"),
    (lambda m, x: m.block([x, [x]]), line, ValueError, "deeper"),
    (lambda m, x: m.block([(x, x)]), line, TypeError, "tuple"),
    (lambda m, x: m.insert(x, 5, 1), line, IndexError, "out of bounds"),
    (lambda m, x: m.insert(x, [0, -5], 1), line, IndexError, "out of bounds"),
    (lambda m, x: m.insert(x, [[0]], 1), line, ValueError, "one axis"),
    (lambda m, x: m.insert(x, 0.5, 1), line, ValueError, "integer"),
    (lambda m, x: m.insert(x, [0, 1], [1, 2, 3]), line, ValueError, "broadcast"),
    (lambda m, x: m.delete(x, 4), line, IndexError, "out of bounds"),
    (lambda m, x: m.delete(x, np.array([True])), line, ValueError, "boolean"),
    (lambda m, x: m.split(x, 3), line, ValueError, "4 elements are not 3 equal parts"),
    (lambda m, x: m.split(x, 0), line, ValueError, "parts"),
    (lambda m, x: m.array_split(x, 0), line, ValueError, "at least one"),
    (lambda m, x: m.hsplit(x, 1), number, ValueError, "hsplit.*at least 1"),
    (lambda m, x: m.vsplit(x, 1), line, ValueError, "vsplit.*at least 2"),
    (lambda m, x: m.dsplit(x, 1), square, ValueError, "dsplit.*at least 3"),
    (lambda m, x: m.unstack(x), number, ValueError, "no axis"),
    (lambda m, x: m.fliplr(x), line, ValueError, "fliplr.*at least 2"),
    (lambda m, x: m.flipud(x), number, ValueError, "flipud.*at least 1"),
    (lambda m, x: m.rot90(x, axes=(0, 2)), square, ValueError, "axis"),
    (lambda m, x: m.rot90(x, axes=(0, -2)), square, ValueError, "axis"),
    (lambda m, x: m.rot90(x, axes=(0, 1, 2)), cube, ValueError, "two axes"),
    (lambda m, x: m.roll(x, [[1]], 0), line, ValueError, "vectors"),
    (lambda m, x: m.roll(x, 1, 0), number, ValueError, "axis"),
    (lambda m, x: m.repeat(x, -1), line, ValueError, "negative"),
    (lambda m, x: m.repeat(x, 1.5), line, TypeError, "float"),
    (lambda m, x: m.repeat(x, [1, 2, 3]), line, ValueError, "broadcast"),
    (lambda m, x: m.diag(x), cube, ValueError, "vector or a matrix"),
    (lambda m, x: m.vander(x), square, ValueError, "vector"),
    (lambda m, x: m.tril(x), number, TypeError, "triangle"),
    (lambda m, x: m.take(x, 4), line, IndexError, "out of bounds"),
    (lambda m, x: m.take(x, 0, mode="near"), line, ValueError, "mode"),
    (lambda m, x: m.take(x, np.array([0.5])), line, TypeError, "cast"),
    (lambda m, x: m.take_along_axis(x, np.array([0]), 0), square, ValueError, "2 axes"),
    (lambda m, x: m.take_along_axis(x, np.array([0.0])), line, ValueError, "integers"),
    (lambda m, x: m.compress([[True]], x), line, ValueError, "vector"),
    (lambda m, x: m.compress([0, 0, 0, 0, 1], x), line, IndexError, "out of bounds"),
    (lambda m, x: m.sort(x), number, ValueError, "axis"),
    (lambda m, x: m.sort(x, kind="bogo"), line, ValueError, "bogo"),
    (lambda m, x: m.sort(x, kind="stable", stable=True), line, ValueError, "not both"),
    (lambda m, x: m.partition(x, 4), line, ValueError, "kth"),
    (lambda m, x: m.trim_zeros(x, "x"), line, ValueError, "'x'"),
    (lambda m, x: m.linspace(x, 1, -1), line, ValueError, "non-negative"),
    (lambda m, x: m.linspace(x, 1, 2.5), line, TypeError, "float"),
    (lambda m, x: m.linspace(x, 1, dtype=int), line, TypeError, "int64 has no gradients"),
    (lambda m, x: m.geomspace(x, 0), line, ValueError, "zero"),
    (lambda m, x: m.pad(x, 1, "mirror"), line, ValueError, "pad: mode 'mirror'"),
    (lambda m, x: m.pad(x, 1, "edge", constant_values=1), line, ValueError, "constant_values"),
    (lambda m, x: m.pad(x, 1, stat_length=1), line, ValueError, "stat_length"),
    (lambda m, x: m.pad(x, 1, lambda *args: None), line, TypeError, "writes in place"),
    (lambda m, x: m.pad(x, 1.5), line, TypeError, "integers"),
    (lambda m, x: m.pad(x, {0: 1.5}), line, TypeError, "integers"),
    (lambda m, x: m.pad(x, {1: 1}), line, IndexError, "range"),
    (lambda m, x: m.pad(x, -1), line, ValueError, "negative"),
    (lambda m, x: m.pad(x, (1, 2, 3)), line, ValueError, "broadcast"),
    (lambda m, x: m.pad(x[:0], 1, "wrap"), line, ValueError, "axis 0 is empty"),
    (lambda m, x: m.pad(x, 1, "maximum", stat_length=0), line, ValueError, "stat_length"),
    (lambda m, x: m.pad(x, 1, "reflect", reflect_type="strange"), line, ValueError, "'even' or 'odd'"),
    (lambda m, x: m.sliding_window_view(x, 5), line, ValueError, "no window of 5"),
    (lambda m, x: m.sliding_window_view(x, -1), line, ValueError, "no window of -1"),
    (lambda m, x: m.sliding_window_view(x, 1), square, ValueError, "1 axes along 2"),
]


@pytest.mark.parametrize("call, x, error, message", REFUSED)
def test_what_is_refused_says_why(call, x, error, message):
    with pytest.raises(error, match=message):
        call(ops, Tensor(x))


INDICES = [
    lambda x, t: ops.take(x, t),
    lambda x, t: ops.take_along_axis(x, t),
    lambda x, t: ops.insert(x, t, 1),
    lambda x, t: ops.delete(x, t),
    lambda x, t: ops.roll(x, t),
    lambda x, t: ops.repeat(x, t),
    lambda x, t: ops.partition(x, t),
    lambda x, t: ops.split(x, t),
    lambda x, t: ops.tile(x, t),
    lambda x, t: ops.pad(x, t),
    lambda x, t: ops.pad(x, 1, "maximum", stat_length=t),
    lambda x, t: ops.linspace(x, 1.0, t),
    lambda x, t: ops.resize(x, t),
]


@pytest.mark.parametrize("call", INDICES)
@pytest.mark.parametrize("t", [Tensor(1.0), Tensor([1.0, 2.0])])
def test_no_gradient_is_lost_in_an_index(call, t):
    with pytest.raises(TypeError):
        call(Tensor(line), t)


def test_conditions_are_values():
    x = Tensor(line)
    np.testing.assert_array_equal(ops.extract(x - 3.1, x).data, line)
    np.testing.assert_array_equal(ops.compress(x * 0, x).data, [])


def test_constants_of_a_border_get_gradients():
    a, b = Tensor(2.0), Tensor(3.0, dtype=np.float32)
    out = ops.pad(Tensor([[1.0]]), ((1, 2), (0, 1)), constant_values=((a, 5), (7.0, b)))
    np.testing.assert_array_equal(out.data, [[2, 3], [1, 3], [5, 3], [5, 3]])
    out.sum().backward()
    assert a.grad == 1.0 and b.grad == 4.0 and b.grad.dtype == np.float32
    check(lambda c: ops.pad(np.ones((2, 2)), 1, constant_values=c), np.array([2.0, 3.0]))
    check(lambda c: ops.pad(np.ones((2, 2)), 2, "linear_ramp", end_values=(c, 1)), np.float64(2.0))
    check(lambda x, c: ops.pad(x, 2, "linear_ramp", end_values=c), square, np.array([[1.0, 2.0]]))
    assert ops.pad(Tensor([1.0], dtype=np.float32), 1, constant_values=a).dtype == np.float32
    assert ops.pad(Tensor([1.0], dtype=np.float32), 2, "linear_ramp", end_values=4).dtype == np.float32


def test_borders_of_plain_integers_are_numpys():
    for mode in ("mean", "median", "linear_ramp", "reflect"):
        found = ops.pad(np.array([1, 4, 6], np.uint8), 2, mode)
        np.testing.assert_array_equal(found, np.pad(np.array([1, 4, 6], np.uint8), 2, mode), strict=True)


def test_borders_for_each_named_axis():
    x = Tensor(square)
    np.testing.assert_array_equal(ops.pad(x, {-1: (1, 2)}).data, np.pad(square, ((0, 0), (1, 2))))
    np.testing.assert_array_equal(ops.pad(x, {0: 1}, "edge").data, np.pad(square, ((1, 1), (0, 0)), "edge"))
    assert (ops.pad(x, 1, "empty").data[1:-1, 1:-1] == square).all()


def test_a_border_of_ties_and_of_nan():
    x = Tensor([2.0, 1.0, 2.0])
    ops.pad(x, 1, "maximum").sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 1, 2])  # two borders, each shared by two winners
    for mode in ("median", "mean", "minimum"):
        x = Tensor([1.0, np.nan, 3.0])
        np.testing.assert_array_equal(ops.pad(x, (1, 0), mode).data, np.pad(x.data, (1, 0), mode))
    ops.pad(x, (1, 0), "median").sum().backward()
    assert np.isnan(x.grad).any()
    x = Tensor([6e4, 6e4], dtype=np.float16)
    assert (ops.pad(x, 1, "median").data == np.float16(6e4)).all()


def test_partition_is_numpys_for_many_elements():
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=2000), rng.integers(0, 9, 2000) * 1.0, np.where(np.arange(99) % 3, np.nan, 1.0)):
        for kth in (7, [3, 50, -2]):
            x = Tensor(values)
            out = ops.partition(x, kth)
            np.testing.assert_array_equal(out.data, np.partition(values, kth))
            out.backward(np.arange(out.size))
            assert sorted(x.grad) == list(range(out.size))


def test_of_equal_elements_the_first_gets_the_gradient():
    x = Tensor([3.0, 1.0, 3.0, 1.0, np.nan, np.nan])
    out, index, inverse, counts = ops.unique(x, True, True, True)
    expected = np.unique(x.data, True, True, True)
    for a, b in zip((out.data, index, inverse, counts), expected, strict=True):
        assert type(a) is np.ndarray
        np.testing.assert_array_equal(a, b)
    out.backward(np.array([10.0, 20.0, 30.0]))
    np.testing.assert_array_equal(x.grad, [20, 10, 0, 0, 30, 0])
    assert ops.unique(x, equal_nan=False).size == ops.unique_values(x).size == 4
    assert isinstance(ops.unique(x), Tensor) and len(ops.unique(x, return_counts=True)) == 2
    rows = Tensor([[2.0, 1.0], [1.0, 5.0], [2.0, 1.0]])
    out, counts = ops.unique(rows, return_counts=True, axis=0)
    assert out.tolist() == [[1.0, 5.0], [2.0, 1.0]] and counts.tolist() == [1, 2]


def test_a_number_has_no_zeros_around_it():
    assert ops.trim_zeros(Tensor(0.0)).item() == 0


def test_equal_elements_keep_their_gradients_in_sort_and_partition():
    for function in (ops.sort, lambda x: ops.partition(x, 2)):
        x = Tensor([2.0, 1.0, 2.0, 1.0])
        (function(x) * np.array([1.0, 2, 3, 4])).sum().backward()
        np.testing.assert_array_equal(x.grad, [3, 1, 4, 2])


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), ()])
@pytest.mark.parametrize("trim", ["fb", "f", "b"])
def test_zeros_around_a_matrix_are_trimmed(axis, trim):
    x = np.pad(square, ((1, 2), (0, 1)))
    rows, columns = [slice(1 if "f" in trim else 0, 4 if "b" in trim else 6), slice(0, 3 if "b" in trim else 4)]
    axes = (0, 1) if axis is None else np.atleast_1d(np.array(axis, int)) % 2
    expected = x[rows if 0 in axes else slice(None), columns if 1 in axes else slice(None)]
    np.testing.assert_array_equal(ops.trim_zeros(Tensor(x), trim, axis).data, expected)
    check(lambda x: ops.trim_zeros(x, trim, axis), x + 1.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_numbers_beside_a_narrow_end_do_not_widen(dtype):
    x = Tensor(np.array([1.0, 2.0]), dtype=dtype)
    for out in (ops.linspace(0, x, 3), ops.geomspace(1.0, x, 3), ops.logspace(x, 0, 3), ops.linspace(x, 1.5)):
        assert out.dtype == dtype
        x.grad = None
        out.sum().backward()
        assert x.grad.dtype == dtype
    assert ops.linspace(x, 1, dtype=np.float64).dtype == np.float64
    assert ops.concatenate([x, x], dtype=np.float32).dtype == ops.stack([x, x], dtype="f4").dtype == np.float32
    assert ops.vstack([x, x], dtype=np.float32).dtype == ops.hstack([x, x], dtype=np.float32).dtype == np.float32
    assert ops.trace(ops.diag(x), dtype=np.float32).dtype == np.float32


def test_ends_of_a_space():
    a, b = Tensor(0.1), Tensor(0.7)
    out = ops.linspace(a, b, 7)
    assert out.data[0] == 0.1 and out.data[-1] == 0.7
    out[-1].backward()
    assert a.grad == 0 and b.grad == 1
    _, step = ops.linspace(a, b, 1, retstep=True)
    assert np.isnan(step.data)
    np.testing.assert_array_equal(ops.linspace(1, 2, 5), np.linspace(1, 2, 5), strict=True)
    assert ops.linspace(np.uint8(9), Tensor(1.0), 5, retstep=True)[1].item() == -2
    assert ops.linspace(np.uint8([9]), np.uint8([1]), 5, retstep=True)[1] == -2
    np.testing.assert_array_equal(ops.geomspace(a * 10, 1000 * a / a, 4).data, [1, 10, 100, 1000])
    np.testing.assert_array_equal(ops.logspace(0, Tensor(3.0), 4).data, [1, 10, 100, 1000])
    check(lambda base: ops.logspace([[0.5], [1.0]], 2.0, 3, base=base, axis=1), np.array([2.0, 3.0, 4.0]))


def test_powers_of_zero_in_vander():
    x = Tensor([0.0, -1.0])
    out = ops.vander(x, 3)
    out.backward(np.ones((2, 3)), create_graph=True)
    np.testing.assert_array_equal(x.grad.data, [1, -1])
    (first,) = [x.grad]
    x.grad = None
    first.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])
    np.testing.assert_array_equal(ops.vander(np.array([3, 20], np.uint8)), np.vander(np.array([3, 20], np.uint8)))


@pytest.mark.parametrize("axis", [(0, 0), (0, 1), (-1, 0)])
def test_windows_along_named_axes(axis):
    expected = np.lib.stride_tricks.sliding_window_view(square, (2, 2), axis)
    np.testing.assert_array_equal(ops.sliding_window_view(Tensor(square), (2, 2), axis).data, expected, strict=True)
    check(lambda x: ops.sliding_window_view(x, (2, 2), axis), square)


def test_aliases_are_the_same_function():
    assert ops.permute_dims is ops.transpose and ops.concat is ops.concatenate


def test_a_mask_takes_each_element_once():
    x, mask = Tensor(cube), cube > 9
    x[mask].backward(np.arange(mask.sum()) + 1.0)
    expected = np.zeros(cube.shape)
    expected[mask] = np.arange(mask.sum()) + 1.0
    np.testing.assert_array_equal(x.grad, expected)
    x.grad = None
    x[[True, True], [0, 0]].sum().backward()
    assert x.grad.sum() == 8 and x.grad.max() == 1
    x.grad = None
    x[np.array([True, False]), [0, 0]].sum().backward()
    assert x.grad.max() == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, n: x[np.zeros(n, np.uint8)],
        lambda x, n: ops.take(x, np.zeros((n, 1), int)),
        lambda x, n: ops.take_along_axis(x, np.zeros(n, int)),
        lambda x, n: ops.repeat(x, [n, 0]),
        lambda x, n: ops.sliding_window_view(ops.pad(x[:1], n - 1), n),
        lambda x, n: ops.pad(x[:1], (0, n - 1), mode="wrap"),
    ],
)
def test_an_element_taken_often_loses_no_count(f, dtype, monkeypatch):
    monkeypatch.setitem(sums.MANY, np.dtype(np.float32), 2)
    x = Tensor([1, 1], dtype=dtype)
    out = f(x, 5000)
    out.backward(np.full(out.shape, 1 if dtype is np.float16 else 0.1))
    assert x.grad.dtype == dtype and x.grad[0] == dtype(5000 if dtype is np.float16 else 5000 * float(dtype(0.1)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, k: ops.roll(x, k, k),
        lambda x, k: ops.tril(x, k),
        lambda x, k: ops.triu(x, k - k),
        lambda x, k: ops.pad(x, k, mode="mean", stat_length=k),
        lambda x, k: ops.tensordot(x, x.T, k),
        lambda x, k: ops.polyder(x[0], k),
    ],
)
def test_unsigned_parameters_do_not_wrap_around(f):
    x = Tensor(np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(f(x, np.uint8(1)).data, f(x, 1).data)


def test_a_median_border_of_nan_gives_nan_to_all():
    x = Tensor([0.1, np.nan, 0.3, 0.2])
    out = ops.pad(x, 1, mode="median")
    out.backward(np.ones(out.shape))
    assert np.isnan(out.data[[0, -1]]).all() and np.isnan(x.grad).all()
