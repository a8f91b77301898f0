"""Errors and forms of arguments of ops/products.py, and einsum's other form."""

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor, ops

REFUSALS = [  # function, shapes, keyword arguments, part of the message
    ("cross", [(4,), (4,)], {}, "2 or 3 components; here they have 4 and 4"),
    ("cross", [(3,), (1,)], {}, "have 3 and 1"),
    ("cross", [(2, 3), (3, 3)], {}, "broadcast"),
    ("cross", [(3,), (3,)], {"axis": 1}, "axis"),
    ("cross", [(2, 3), (2, 3)], {"axisc": 2}, "axis"),
    ("cross", [(), (3,)], {}, "axis"),
    ("inner", [(2, 3), (2, 2)], {}, "differ"),
    ("inner", [(2, 3), (2, 2, 2)], {}, "differ"),
    ("dot", [(2, 3), (2, 2, 2)], {}, "differ"),
    ("vdot", [(2, 3), (5,)], {}, "sizes 6 and 5"),
    ("tensordot", [(2, 3), (2, 3)], {"axes": 1}, r"axes \(1,\) of \(2, 3\) and \(0,\) of \(2, 3\) differ"),
    ("tensordot", [(2, 3), (1, 3)], {"axes": (0, 0)}, "differ"),
    ("tensordot", [(2, 3), (2, 3)], {"axes": ([0, 1], [0])}, "differ in number"),
    ("tensordot", [(2, 2), (2, 2)], {"axes": ([0, 0], [0, 0])}, "repeated axis"),
    ("tensordot", [(2, 2), (2, 2)], {"axes": 3}, "axis"),
    ("vecdot", [(2, 3), (2, 1)], {}, "no last axis of one length"),
    ("vecdot", [(), (3,)], {}, "no last axis"),
    ("vecdot", [(2, 3), (2, 3)], {"axis": 2}, "axis"),
    ("matvec", [(3,), (3,)], {}, r"matvec: takes \(\.\.\., m, n\) and \(\.\.\., n\), not \(3,\) and \(3,\)"),
    ("matvec", [(2, 3), (2,)], {}, "sizes 3 and 2"),
    ("matvec", [(2, 3), ()], {}, "matvec: takes"),
    ("vecmat", [(3,), (3,)], {}, "vecmat: takes"),
    ("vecmat", [(2, 2), (2, 3, 2)], {}, "sizes 2 and 3"),
]


@pytest.mark.parametrize("name, shapes, kwargs, message", REFUSALS)
def test_refusals(name, shapes, kwargs, message):
    for wrap in (Tensor, np.asarray):
        with pytest.raises((ValueError, IndexError), match=message):
            getattr(ops, name)(*[wrap(np.ones(s)) for s in shapes], **kwargs)


@pytest.mark.parametrize(
    "name", ["cross", "inner", "kron", "matvec", "tensordot", "vdot", "vecdot", "vecmat", "einsum"]
)
@pytest.mark.parametrize("keyword", ["out", "dtype", "order", "casting"])
def test_keywords_that_have_no_derivative(name, keyword):
    args = ("i,i->i",) if name == "einsum" else ()
    with pytest.raises(TypeError, match=keyword):
        getattr(ops, name)(*args, Tensor([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], **{keyword: None})


def test_lists_and_numbers():
    x, y = [[1, 2, 3], [4, 5, 6]], [3, 2, 1]
    for name in ("inner", "kron", "dot", "matvec", "outer"):
        np.testing.assert_array_equal(getattr(ops, name)(x, y), getattr(np, name, np.dot)(x, y), strict=True)
    np.testing.assert_array_equal(ops.cross(x, y), np.cross(x, y), strict=True)
    np.testing.assert_array_equal(ops.tensordot(x, x), 91)
    np.testing.assert_array_equal(ops.kron(2.0, Tensor([1.0, 3.0])).data, [2, 6])
    np.testing.assert_array_equal(ops.inner(2.0, Tensor([1.0, 3.0])).data, [2, 6])
    np.testing.assert_array_equal(ops.tensordot(x, y, np.int64(1)), [10, 28])


def test_no_sum_is_lost_over_an_empty_axis():
    x, y = Tensor(np.ones((2, 0))), Tensor(np.ones((3, 0, 4)))
    out = ops.dot(x, y)
    np.testing.assert_array_equal(out.data, np.zeros((2, 3, 4)), strict=True)
    out.sum().backward()
    assert x.grad.shape == (2, 0) and y.grad.shape == (3, 0, 4)


SUBLISTS = [  # subscripts, lists of numbers, shapes
    ("ij,jk->ki", [[0, 1], [1, 2], [2, 0]], [(2, 3), (3, 2)]),
    ("ij,jk", [[0, 1], [1, 2]], [(2, 3), (3, 2)]),
    ("ba", [[1, 0]], [(2, 3)]),
    ("Zb", [[25, 27]], [(2, 3)]),
    ("ba->", [(1, 0), ()], [(2, 3)]),
    ("...i,i...->...", [[..., 0], [0, ...], [...]], [(2, 3), (3, 2)]),
    ("ii->i", [[7, 7], [7]], [(3, 3)]),
    ("->", [[], []], [()]),
]


@pytest.mark.parametrize("subscripts, lists, shapes", SUBLISTS)
def test_einsum_of_lists_of_numbers(subscripts, lists, shapes):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=s) for s in shapes]
    results = []
    for form in ("letters", "numbers"):
        tensors = [Tensor(x) for x in xs]
        interleaved = [z for pair in zip(tensors, lists, strict=False) for z in pair] + lists[len(xs) :]
        out = ops.einsum(subscripts, *tensors) if form == "letters" else ops.einsum(*interleaved)
        np.testing.assert_allclose(out.data, np.einsum(subscripts, *xs))
        out.sum().backward()
        results.append([t.grad for t in tensors])
    np.testing.assert_equal(*results)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ([], TypeError, "subscripts as a string first"),
        ([np.ones((2, 2))], TypeError, "subscripts as a string first"),
        ([[0, 1], 5], TypeError, "subscripts as a string first"),
        ([[0, 52]], ValueError, "index 52 is not a number from 0 to 51"),
        ([[0, -1]], ValueError, "index -1 is not"),
        ([["i", "j"]], ValueError, "index i is not"),
        ([[0]], ValueError, "1 indices for an operand of 2 axes"),
        ([[..., 0], [0]], ValueError, "drops the axes of the ellipsis"),
    ],
)
def test_einsum_of_lists_that_say_nothing(arguments, error, message):
    with pytest.raises(error, match=message):
        ops.einsum(Tensor(np.ones((2, 2))), *arguments)


@pytest.mark.parametrize("optimize", [True, "greedy", "optimal", ("greedy", 1000), ["einsum_path", (1, 2), (0, 1)]])
def test_einsum_in_any_order_of_products(optimize):
    x, y, z = [Tensor(np.random.default_rng(i).normal(size=(3, 3))) for i in range(3)]
    for subscripts in ("ij,jk,kl->il", "ij,jk,kl->i", "ii,ij,kj->ik"):
        gradients = []
        for order in (False, optimize):
            out = ops.einsum(subscripts, x, y, z, optimize=order)
            gradients.append(tinygrad_edu.gradients((out * out).sum(), [x, y, z]))
        np.testing.assert_allclose(gradients[0], gradients[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("create_graph", [False, True])
def test_einsum_loses_no_count(dtype, create_graph):
    x, bias = Tensor(np.ones((5000, 2)), dtype=dtype), Tensor(np.ones(2), dtype=dtype)
    ops.einsum("ij,j->ij", x, bias).sum().backward(create_graph=create_graph)
    assert bias.grad.dtype == dtype
    np.testing.assert_array_equal(tinygrad_edu.engine.plain(bias.grad), [5000, 5000])


def test_a_diagonal_beside_integers_and_infinities():
    x = Tensor([[1.0, np.inf], [np.inf, 2.0]])
    out = ops.einsum("ii,i->", x, np.array([200, 100], np.uint8))
    out.backward()
    assert out.item() == 400
    np.testing.assert_array_equal(x.grad, [[200, 0], [0, 100]])


def test_cross_product_is_at_right_angles_in_every_mix_of_sizes():
    x, y = Tensor([1.0, 2.0, 3.0]), Tensor([4.0, 5.0])
    out = ops.cross(x, y)
    np.testing.assert_array_equal(out.data, [-15, 12, -3])
    (out * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [500, -400, 35])
    np.testing.assert_array_equal(y.grad, [-170, 97])
    assert ops.cross([1.0, 2.0], Tensor([4.0, 5.0])).item() == -3


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [("ij->j", [(5000, 2)]), ("i,ij->j", [(5000,), (5000, 2)]), ("ij,ik->jk", [(5000, 2), (5000, 3)])],
)
def test_einsum_of_float16_loses_no_count(subscripts, shapes):
    xs = [Tensor(np.ones(shape), dtype=np.float16) for shape in shapes]
    out = ops.einsum(subscripts, *xs)
    assert out.dtype == np.float16 and (out.data == 5000).all()
