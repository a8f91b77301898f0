"""The table of NumPy's functions: all that dispatch are in it, and each class does what it says."""

import re

import numpy as np
import pytest

from tinygrad_edu import Tensor, ops
from tinygrad_edu.dispatch import NUMPY, REFUSED, full_name, table

TABLE = table()
SPACES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}
OTHER_NAMES = {"amax": "max", "amin": "min"}
X = np.array([[0.25, 1.5], [0.5, 0.75]])


def dispatching():
    """All of NumPy's functions that ask their arguments: name -> function."""
    for space, module in SPACES.items():
        for name in dir(module):
            function = getattr(module, name)
            if not name.startswith("_") and (isinstance(function, np.ufunc) or type(function) is type(np.sum)):
                yield f"{space}.{name}", function


def in_numpy(name):
    """The function of that name, or None where this NumPy lacks it."""
    found = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def of(*kinds):
    """The names of the functions of a class, as far as this NumPy has them."""
    refused = [name for names in REFUSED for name in names.split()]
    names = [name for kind in kinds for name in (refused if kind == "R" else NUMPY[kind].split())]
    return [name for name in names if in_numpy(name) is not None]


def test_every_function_that_dispatches_is_in_a_class():
    missing = [name for name, function in dispatching() if function not in TABLE]
    assert not missing, f"give a class in dispatch.py to: {', '.join(missing)}"


def test_a_function_in_no_class_would_be_found_and_refuses():
    entry = TABLE.pop(np.tan)
    try:
        with pytest.raises(AssertionError, match=r"give a class in dispatch\.py to: np\.tan\n"):
            test_every_function_that_dispatches_is_in_a_class()
        with pytest.raises(TypeError, match=r"np\.tan is in no class of our table.*tensor\.data"):
            np.tan(Tensor(X))
    finally:
        TABLE[np.tan] = entry


def test_no_function_is_in_two_classes():
    names = [*of("D", "Z", "V", "R")]
    assert len(names) == len(set(names))
    assert {TABLE[in_numpy(name)][0] for name in of("R")} == {"R"}


def test_a_function_runs_as_ours_of_its_name():
    """And the walks over all public functions of `ops` and `ops.linalg` check it, since it is one of them."""
    for name in of("D", "Z"):
        module, _, last = (OTHER_NAMES.get(name) or name).rpartition(".")
        chapter = ops.linalg if module == "linalg" else ops
        assert last in chapter.__all__ and TABLE[in_numpy(name)][1] is getattr(chapter, last), name


def test_every_function_of_ours_that_numpy_has_is_in_the_table():
    for name in [*ops.__all__, *[f"linalg.{name}" for name in ops.linalg.__all__]]:
        if name != "linalg" and in_numpy(name) is not None:
            assert TABLE[in_numpy(name)][0] in "DZ", name


@pytest.mark.parametrize("name", of("Z"))
@pytest.mark.parametrize("create_graph", [False, True])
def test_what_is_locally_constant_has_the_derivative_0(name, create_graph):
    x = Tensor(X)
    out = in_numpy(name)(x, 0.3) if name in ("floor_divide", "heaviside") else in_numpy(name)(x)
    assert type(out) is Tensor
    out.backward(np.full(X.shape, np.inf), create_graph=create_graph)
    grad = x.grad.data if create_graph else x.grad
    np.testing.assert_array_equal(grad, np.zeros((2, 2)))


VALUES = {  # of class V: the arguments, where one array is not enough
    **dict.fromkeys(
        ["allclose", "array_equal", "array_equiv", "isclose", "equal", "not_equal", "less", "less_equal", "greater"],
        (X, X.T),
    ),
    **dict.fromkeys(["greater_equal", "logical_and", "logical_or", "logical_xor", "isin", "in1d"], (X, X.T)),
    **dict.fromkeys(["may_share_memory", "shares_memory"], (X, X)),
    "argpartition": (X, 1),
    "can_cast": (X.dtype, np.float32),
    "digitize": (X, np.array([0.3, 0.6])),
    "searchsorted": (X[0], X),
    "lexsort": ((X[0], X[1]),),
    "einsum_path": ("ij,jk", X, X),
    "histogram2d": (X[0], X[1]),
    "histogramdd": (X,),
    "full_like": (X, 2.5),
    "ix_": (X[0], X[1]),
}
INTEGERS_ONLY = {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_invert", "bitwise_count", "invert"}
INTEGERS_ONLY |= {"ravel_multi_index", "unravel_index"}
FILES = {"save", "savetxt", "savez", "savez_compressed"}


def tensors(x):
    """The arrays of an argument as Tensors."""
    if isinstance(x, tuple):
        return tuple([tensors(y) for y in x])
    return Tensor(x) if isinstance(x, np.ndarray) else x


@pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in of("V") if name not in INTEGERS_ONLY | FILES])
def test_values_are_those_of_the_plain_data(name):
    args = VALUES.get(name, (X,))
    found, expected = in_numpy(name)(*tensors(args)), in_numpy(name)(*args)
    parts = found if isinstance(found, (tuple, list)) else [found]
    assert not any(isinstance(x, Tensor) for x in parts)
    if name not in ("may_share_memory", "shares_memory", "empty_like"):
        assert str(found) == str(expected)


@pytest.mark.parametrize("name", sorted(INTEGERS_ONLY & set(of("V"))))
def test_what_works_on_integers_says_so_in_numpys_words(name):
    with pytest.raises((TypeError, IndexError)):
        in_numpy(name)(*[Tensor(X[0])] * (2 if name in ("bitwise_and", "bitwise_or", "bitwise_xor") else 1))


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_hold_the_plain_data(name, tmp_path):
    path = tmp_path / ("x.txt" if name == "savetxt" else "x.npz" if "savez" in name else "x.npy")
    getattr(np, name)(path, Tensor(X))
    found = np.loadtxt(path) if name == "savetxt" else np.load(path)
    np.testing.assert_array_equal(found["arr_0"] if "savez" in name else found, X)


@pytest.mark.parametrize("name", of("R"))
def test_what_refuses_gives_its_reason_and_says_what_to_do(name):
    function, x = in_numpy(name), Tensor(X)
    extra = {"fill_diagonal": (0.0,), "put": ([0], 1.0), "putmask": (X > 1, 0.0), "place": (X > 1, 0.0)}
    extra |= {"copyto": (x,), "put_along_axis": ([[0]], 1.0, 1), "is_busday": ()}
    two = {"union1d", "intersect1d", "setdiff1d", "setxor1d", "polydiv", "busday_count", "busday_offset"}
    args = extra.get(name, (x,) if name in two or getattr(function, "nin", 1) == 2 else ())
    own = name.removeprefix("bitwise_")  # another name of the same ufunc
    with pytest.raises(TypeError, match=rf"np\.{re.escape(own)} .{{20,}}") as caught:
        function(x, *args)
    assert re.search(r"use|pass|multiply|divide", str(caught.value))


def test_a_reason_is_true_of_few_functions():
    reasons = [TABLE[in_numpy(name)][1] for name in of("R")]
    assert len(set(reasons)) >= 18


CALLS = [  # NumPy's keywords, by name and by place
    (lambda x: np.sum(x, 0), lambda x: np.sum(x, axis=0)),
    (lambda x: np.sum(x, None, None, None, True), lambda x: np.sum(x, keepdims=True)),
    (lambda x: np.sum(a=x, axis=1), lambda x: np.sum(x, 1)),
    (lambda x: np.var(x, 0, None, None, 1), lambda x: np.var(x, axis=0, ddof=1)),
    (lambda x: np.mean(x, out=None), np.mean),
    (lambda x: np.add(x, 1.0, dtype=np.float64), lambda x: np.add(x, 1.0)),
    (lambda x: np.add.reduce(x), lambda x: np.sum(x, axis=0)),
    (lambda x: np.multiply.reduce(x, axis=1), lambda x: np.prod(x, axis=1)),
    (lambda x: np.maximum.reduce(x, axis=None), np.max),
    (lambda x: np.minimum.reduce(x), lambda x: np.min(x, axis=0)),
    (lambda x: np.logaddexp.reduce(x), lambda x: np.log(np.sum(np.exp(x), axis=0))),
    (lambda x: np.add.accumulate(x), lambda x: np.cumsum(x, axis=0)),
    (lambda x: np.multiply.accumulate(x, axis=1), lambda x: np.cumprod(x, axis=1)),
    (lambda x: np.subtract.outer(x, x[0]), lambda x: x[:, :, None] - x[0]),
    (lambda x: np.concatenate((x, x), 1), lambda x: np.hstack([x, x])),
    (lambda x: np.where(x > 0.6, x, 0), lambda x: np.select([x > 0.6], [x])),
]


@pytest.mark.parametrize("call, other", CALLS)
def test_numpys_ways_to_call_a_function(call, other):
    x, y = Tensor(X), Tensor(X)
    np.testing.assert_allclose(call(x).data, call(X), rtol=1e-15)
    np.testing.assert_allclose(other(y).data, call(X), rtol=1e-14)
    call(x).sum().backward()
    other(y).sum().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-14)


REFUSALS = [
    (lambda x: np.exp(x, out=np.empty((2, 2))), r"np\.exp with out=: it writes into an array"),
    (lambda x: np.sum(x, out=np.empty(())), r"np\.sum with out=: it writes into an array"),
    (lambda x: np.exp(x, where=X > 1), r"np\.exp with where=: .* use np\.where"),
    (lambda x: np.exp(x, casting="no"), r"np\.exp with casting=: .*astype"),
    (lambda x: np.add(x, 1, dtype=int), r"astype: int64 has no gradients"),
    (lambda x: np.add.at(x, [0], 1.0), r"np\.add\.at is not differentiable here"),
    (lambda x: np.add.reduceat(x, [0, 1]), r"np\.add\.reduceat is not differentiable here"),
    (lambda x: np.full_like(x, x[0, 0]), r"np\.full_like: the derivative to fill_value would be lost"),
    (lambda x: np.full_like(x, fill_value=x[0, 0]), r"np\.full_like: the derivative to fill_value would be lost"),
    (lambda x: np.full_like(X, x[0, 0]), r"np\.copyto .* np\.broadcast_to instead of np\.full"),
    (lambda x: np.histogram(X, weights=x), r"np\.histogram: the derivative to weights would be lost"),
    (lambda x: np.greater(X, 1, out=x), r"np\.greater with out=: it writes into an array"),
    (lambda x: x.data.__iadd__(x), r"np\.add with out=: it writes into an array"),
]


@pytest.mark.parametrize("call, message", REFUSALS)
def test_what_a_keyword_cannot_do_is_refused_by_name(call, message):
    with pytest.raises(TypeError, match=message):
        call(Tensor(X))


def test_nonzero_through_where():
    assert [i.tolist() for i in np.where(Tensor([0.0, 2.0]))] == [[1]]


def test_the_name_of_a_function_is_the_one_that_a_program_has():
    assert full_name(np.linalg.norm) == "np.linalg.norm" and full_name(np.add) == "np.add"
    assert full_name(np.sum) == "np.sum" and full_name(np.fft.fft) == "np.fft.fft"


@pytest.mark.skipif(not hasattr(np, "astype"), reason="NumPy 2.0 has no astype")
def test_astype_with_copy_says_what_to_do():
    with pytest.raises(TypeError, match=r"np\.astype with copy=: leave it out"):
        np.astype(Tensor(X), np.float32, copy=False)
