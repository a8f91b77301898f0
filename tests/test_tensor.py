"""Tensor: what goes in, every attribute and method, NumPy's protocols, and what is refused with which message."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor, functional, ops
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.torch_names import Answer

MATRIX = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


@pytest.mark.parametrize(
    "data, dtype, expected",
    [
        *[(np.ones(2, d), None, d) for d in (np.float16, np.float32, np.float64, np.longdouble)],
        *[(np.ones(2, d), None, np.float64) for d in (bool, np.int8, np.uint8, np.int64)],
        *[(x, None, np.float64) for x in (1, 1.5, True, [1, 2], [True], (1.0, 2), [], [[]], range(3))],
        *[(x, np.float32, np.float32) for x in (1, 1.5, [1, 2], np.ones(2), np.float64(3), [])],
        *[(d(3), None, d) for d in (np.float16, np.float32, np.float64, np.longdouble)],
        *[(np.array(d(3)), None, d) for d in (np.float32, np.float64)],
        (np.int64(3), None, np.float64),
        ([np.float32(1), np.float32(2)], None, np.float32),
        ([1.0], "float32", np.float32),
    ],
)
def test_constructor(data, dtype, expected):
    t = Tensor(data, dtype=dtype)
    assert t.dtype == expected and t.shape == np.shape(data)
    assert isinstance(t.data, np.ndarray if t.shape else expected)
    np.testing.assert_array_equal(t.data, np.asarray(data, expected))
    assert t.requires_grad and t.is_leaf and t.grad is None and t.name is None


def test_data_are_copied_in_their_order():
    for array in (np.arange(6.0).reshape(2, 3), np.asfortranarray(MATRIX), np.arange(12.0).reshape(2, 6)[:, ::2]):
        t = Tensor(array)
        kept = array.copy()
        assert not np.shares_memory(t.data, array) and t.data.flags.writeable
        array[0, 0] = 99
        np.testing.assert_array_equal(t.data, kept)
    assert Tensor(np.asfortranarray(np.ones((2, 3)))).data.flags.f_contiguous
    frozen = np.ones(2)
    frozen.flags.writeable = False
    assert Tensor(frozen).assign([2, 3]).tolist() == [2, 3]


REFUSED = [
    "a",
    "1.5",
    b"1",
    None,
    1j,
    np.array([1j]),
    object(),
    {"a": 1},
    [None, 1.0],
    [[1, 2], [3]],
    ["1"],
    {1, 2},
    len,
]
REFUSED += [[[1, 2], [3]], {1, 2}]
REFUSED += [np.datetime64("2020-01-01"), np.array([1, None]), [Tensor(1.0), Tensor(2.0)], [Tensor([1.0])], Tensor(1.0)]


@pytest.mark.parametrize("dtype", [None, np.float64, np.float32])
@pytest.mark.parametrize("data", REFUSED)
def test_constructor_refuses(data, dtype):
    with pytest.raises(TypeError, match="Tensor"):
        Tensor(data, dtype=dtype)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8, complex, object, str])
def test_constructor_refuses_dtypes_that_have_no_gradient(dtype):
    with pytest.raises(TypeError, match="float"):
        Tensor([1.0, 2.0], dtype=dtype)


def test_requires_grad_is_a_bool():
    assert Tensor(1.0, requires_grad=0).requires_grad is False and Tensor(1.0, requires_grad=1).requires_grad is True


def test_positional_options_are_refused():
    with pytest.raises(TypeError):
        Tensor(1.0, True)


def test_attributes():
    t = Tensor(MATRIX, name="w", requires_grad=False)
    assert (t.shape, t.ndim, t.size, t.dtype, t.name) == ((2, 3), 2, 6, np.float64, "w")
    assert t.T.shape == (3, 2) and not t.requires_grad and t.is_leaf
    y = Tensor(MATRIX) * 2
    assert y.requires_grad and not y.is_leaf and y.grad is None and y.name is None
    assert (t * 2).is_leaf and not (t * 2).requires_grad
    y.name = "y"
    assert y.name == "y"
    t.requires_grad = True
    assert (t * 2).requires_grad
    for attribute in ("shape", "ndim", "size", "dtype", "T", "is_leaf"):
        with pytest.raises(AttributeError):
            setattr(t, attribute, None)
    with pytest.raises(AttributeError):
        t.gard = 1  # a misspelt attribute does not pass unseen


def test_item_numpy_tolist_detach_copy():
    t = Tensor(MATRIX, name="w")
    assert t.tolist() == MATRIX and Tensor(2).tolist() == 2 and type(Tensor(2).item()) is float
    assert Tensor([[3.0]]).item() == 3
    values = t.numpy()
    assert type(values) is np.ndarray and not np.shares_memory(values, t.data)
    assert Tensor(1.0).numpy().shape == () and type(Tensor(1.0).numpy()) is np.ndarray
    constant = (t * 2).detach()
    assert constant.is_leaf and not constant.requires_grad and constant.tolist() == [[2, 4, 6], [8, 10, 12]]
    assert not np.shares_memory(t.detach().data, t.data) and t.detach().dtype == t.dtype
    twin = t.copy()
    twin.sum().backward()
    assert not np.shares_memory(twin.data, t.data) and t.grad.tolist() == np.ones((2, 3)).tolist()


REPRS = [
    (lambda: Tensor(1.0), "Tensor(1.)"),
    (lambda: Tensor([1.0, -2.5]), "Tensor([ 1. , -2.5])"),
    (lambda: Tensor([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1., 2.],\n        [3., 4.]])"),
    (lambda: Tensor([1.0], name="w"), "Tensor([1.], name='w')"),
    (lambda: Tensor([1.0], dtype=np.float32), "Tensor([1.], dtype=float32)"),
    (lambda: Tensor(2.0, requires_grad=False), "Tensor(2., requires_grad=False)"),
    (lambda: Tensor([1.0, 2.0]) * 2, "Tensor([2., 4.], op=multiply)"),
    (lambda: Tensor([1.0, 2.0], dtype=np.float32).sum(), "Tensor(3., dtype=float32, op=sum)"),
    (lambda: Tensor([]), "Tensor([])"),
]


@pytest.mark.parametrize("make, text", REPRS)
def test_repr(make, text):
    t = make()
    assert repr(t) == text == str(t) == f"{t}"


def test_a_huge_repr_is_cut():
    assert len(repr(Tensor(np.ones((1000, 1000))))) < 1000


def test_format():
    assert f"{Tensor(2 / 3):.3f}" == "0.667" and f"{Tensor([[0.5]]):8.2f}" == "    0.50"
    with pytest.raises(ValueError):
        f"{Tensor([1.0, 2.0]):.3f}"


def test_len_iteration_and_conversions():
    t = Tensor(MATRIX)
    assert len(t) == 2
    rows = list(t)
    assert [row.tolist() for row in rows] == MATRIX and all(type(row) is Tensor for row in rows)
    (rows[0].sum() + rows[1].sum() * 2).backward()
    assert t.grad.tolist() == [[1, 1, 1], [2, 2, 2]]
    a, b = Tensor([1.0, 2.0])
    assert (a.item(), float(b.detach()), bool(a), bool(Tensor([[0.0]]))) == (1.0, 2.0, True, False)
    assert float(Tensor([[3.5]], requires_grad=False)) == 3.5
    with pytest.raises(ValueError, match="not one number"):
        t.item()
    with pytest.raises(ValueError, match="neither true nor false"):
        bool(t)
    for scalar_misuse in (len, list):
        with pytest.raises(TypeError):
            scalar_misuse(Tensor(1.0))


def test_hash_is_identity():
    a, b = Tensor(1.0), Tensor(1.0)
    assert len({a, b, a}) == 2 and {a: "x"}[a] == "x"


@pytest.mark.parametrize(
    "other", [2.0, 2, np.float32(2), np.array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], Tensor([2.0] * 3)], ids=str
)
def test_comparisons_are_boolean_arrays(other):
    t, plain = Tensor([1.0, 2.0, 3.0]), other.data if isinstance(other, Tensor) else np.asarray(other)
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        method = f"__{name}__"
        found, expected = getattr(t, method)(other), getattr(t.data, method)(plain)
        assert type(found) is np.ndarray and found.dtype == bool
        np.testing.assert_array_equal(found, expected)
    assert (other == t).tolist() == np.equal(plain, t.data).tolist() if not isinstance(other, list) else True
    assert type(Tensor(1.0) < 2) is np.bool_
    assert np.less(t, 2).tolist() == [True, False, False]
    assert np.isnan(t).tolist() == np.isinf(t).tolist() == [False] * 3 and np.isfinite(t).all()
    assert np.shape(t) == (3,) and np.ndim(t) == 1 and np.size(t) == 3


OPERATORS = {
    "+": (lambda a, b: a + b),
    "-": (lambda a, b: a - b),
    "*": (lambda a, b: a * b),
    "/": (lambda a, b: a / b),
    "**": (lambda a, b: a**b),
}
LEFT = [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.array([1.0, 2.0]), [1.0, 2.0], np.array(2.5)]
LEFT += [np.ones((2, 2), np.float32), np.array([1, 2])]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("values", [[1.5, 2.0], 3.0])
def test_operators_with_anything_on_either_side(operator, left, values):
    if isinstance(left, list) and values == 3.0 and operator == "*":
        values = [3.0, 4.0]
    t, f = Tensor(values), OPERATORS[operator]
    for out, expected in ((f(left, t), f(np.asarray(left), t.data)), (f(t, left), f(t.data, np.asarray(left)))):
        assert type(out) is Tensor and out.dtype == expected.dtype
        np.testing.assert_allclose(out.data, expected, rtol=1e-15)
        out.sum().backward()
        assert t.grad.shape == t.shape


@pytest.mark.parametrize(
    "left", [np.eye(2), np.ones(2), [[1.0, 0.0], [0.0, 1.0]], np.eye(2, dtype=np.float32)], ids=repr
)
def test_matmul_on_either_side(left):
    t = Tensor([[1.0, 2.0], [3.0, 4.0]])
    for out, expected in ((left @ t, np.asarray(left) @ t.data), (t @ left, t.data @ np.asarray(left))):
        assert type(out) is Tensor
        np.testing.assert_array_equal(out.data, expected)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("number", [2, 2.5, True])
@pytest.mark.parametrize("values", [[1.5, 2.0], 3.0])
def test_float32_stays_float32_beside_python_numbers(operator, number, values):
    t = Tensor(values, dtype=np.float32)
    for out in (OPERATORS[operator](t, number), OPERATORS[operator](number, t)):
        out.sum().backward()
        assert out.dtype == out.grad.dtype == t.grad.dtype == np.float32
    assert (t + np.float64(1)).dtype == np.float64  # NumPy 2: only Python's numbers are weak


def test_unary_operators_and_rebinding():
    leaf = Tensor([-1.0, 2.0])
    t = +leaf
    assert (-t).tolist() == [1, -2] and abs(t).tolist() == [1, 2] and next(reversed(t)).item() == 2
    t += 1
    t *= 2
    assert t is not leaf and t.tolist() == [0, 6] and leaf.tolist() == [-1, 2]
    t.sum().backward()
    assert leaf.grad.tolist() == [2, 2]


def test_a_float64_array_widens_the_result_but_not_the_gradient():
    t = Tensor([1.0, 2.0], dtype=np.float32)
    out = t * np.array([0.1, 0.2])
    out.sum().backward()
    assert out.dtype == out.grad.dtype == np.float64 and t.grad.dtype == np.float32
    mixed = Tensor([1.0, 2.0])
    (t + mixed).sum().backward()
    assert t.grad.dtype == np.float32 and mixed.grad.dtype == np.float64


@pytest.mark.parametrize("values", [0.5, [0.5, 3.0]])
def test_where_and_clip_keep_float32_beside_python_numbers(values):
    t = Tensor(values, dtype=np.float32)
    for out in (np.where(t > 1, t, 0.5), np.where(t > 1, 2, t), t.clip(0, 1), t.clip(min=0.1), np.clip(t, -1.5, 2)):
        out.sum().backward()
        assert out.dtype == t.grad.dtype == np.float32


@pytest.mark.parametrize("wrong", ["a", None, 1j, object(), np.array(["a"]), np.array([1j]), [None], {}])
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_refuse_what_is_no_number(operator, wrong):
    with pytest.raises(TypeError):
        OPERATORS[operator](Tensor([1.0]), wrong)
    with pytest.raises(TypeError):
        OPERATORS[operator](wrong, Tensor([1.0]))


def t2():
    return Tensor([[1.0, 2.0], [3.0, 4.0]])


def add_in_place():
    array = np.ones((2, 2))
    array += t2()


def set_element():
    t2()[0] = 1


def set_element_of_an_array():
    np.ones((2, 2))[0] = t2()[0]


REFUSALS = [  # what is tried, and what the message must say: the function, and the way to do it
    (lambda: np.exp(t2(), out=np.ones((2, 2))), "np.exp.*out=.*use what the function returns"),
    (lambda: np.add(1, t2(), out=np.ones((2, 2))), "np.add.*out="),
    (lambda: np.exp(t2(), where=[True, False]), "np.exp.*where=.*np.where"),
    (lambda: np.exp(t2(), dtype=int), "astype.*int64"),
    (lambda: np.sum(t2(), dtype=int), "astype.*int64"),
    (lambda: np.sum(t2(), out=np.ones(())), "sum.*out"),
    (lambda: np.clip(t2(), 0, 1, out=np.ones((2, 2))), "clip.*out"),
    (lambda: np.concatenate([t2()], out=np.ones((2, 2))), "concatenate.*out"),
    (lambda: np.add.at(np.ones(2), [0], t2()), "np.add.at.*tensor.data"),
    (lambda: np.divide.reduce(t2()), "np.divide.reduce.*tensor.data"),
    (lambda: np.maximum.accumulate(t2()), "np.maximum.accumulate"),
    (lambda: np.linalg.eig(t2()), "linalg.eig.*complex.*eigh"),
    (lambda: np.fft.fft(t2()), "fft.fft.*complex.*cosines"),
    (lambda: np.where(t2(), 1.0, 2.0), "where.*boolean|pass a comparison"),
    (lambda: np.asarray(t2()), r"tensor.data.*stack"),
    (lambda: np.array([t2(), t2()]), r"tensor.data.*stack"),
    (lambda: np.array([Tensor(1.0), Tensor(1.0)]), r"tensor.data.*stack"),
    (lambda: np.array([Tensor(1.0)], dtype=object), r"tensor.data.*stack"),
    (lambda: np.array(t2(), dtype=np.float32), r"tensor.data.*stack"),
    (lambda: np.sum([t2(), t2()]), r"tensor.data.*stack"),
    (lambda: np.exp([Tensor(1.0)]), r"tensor.data.*stack"),
    (lambda: np.ones(2) * [Tensor(1.0), Tensor(2.0)], r"tensor.data.*stack"),
    (lambda: t2() * [Tensor(1.0), Tensor(2.0)], r"tensor.data.*stack"),
    (lambda: np.ones(2).dot(t2()), r"tensor.data.*stack"),
    (lambda: np.ones(2)[t2()], "tensor.data"),
    (lambda: t2()[Tensor([0.0])], "index"),
    (lambda: t2()[Tensor([0.0]), 0], "tensor.data"),
    (set_element, "where.*assign"),
    (set_element_of_an_array, "tensor.data"),
    (add_in_place, "np.add.*out="),
    (lambda: t2() << 2, "<<"),
    (lambda: t2().astype(int), "astype.*int64"),
    (lambda: t2().sum(axis=Tensor(0.0)), "axis=tensor.data"),
    (lambda: t2().sum(0, False, 1), "sum.* takes"),
    (lambda: t2().exp(1), "exp takes"),
    (lambda: t2().sum(axes=0), "sum.*axes"),
    (lambda: t2().backward(np.ones((2, 2)) * 1j), "real|complex|float"),
    (lambda: t2().backward("ab"), "Tensor"),
    (lambda: type("MyTensor", (Tensor,), {}), "MyTensor.*subclassed"),
]


@pytest.mark.parametrize("attempt, message", REFUSALS)
def test_refusals(attempt, message):
    with pytest.raises(TypeError, match=rf"(?s){message}"):
        attempt()


ERRORS = [
    (lambda: Tensor(np.ones((32, 784))) @ Tensor(np.ones((128, 784))), "matmul.*784 and 128.*w.T"),
    (lambda: Tensor(np.ones((2, 3))) @ np.ones((4, 5)), "matmul.*3 and 4"),
    (lambda: Tensor(1.0) @ np.ones(2), "matmul"),
    (lambda: Tensor(np.ones(3)) + np.ones(2), r"add.*\(3,\).*\(2,\)"),
    (lambda: t2().reshape(3, 1), r"reshape.*\(2, 2\)"),
    (lambda: t2().sum(axis=2), "sum.*axis 2"),
    (lambda: t2().transpose(0, 0), "transpose.*repeated"),
    (lambda: t2()[5], "getitem.*5"),
    (lambda: t2().squeeze(0), "squeeze|size"),
    (lambda: np.concatenate([t2(), Tensor([1.0])]), "concatenate.*dimension"),
    (lambda: np.concatenate([]), "at least one"),
    (lambda: t2().broadcast_to((3, 3)), r"broadcast_to.*\(2, ?2\)"),
    (lambda: Tensor([1.0, 2.0]).assign([[1.0], [2.0]]), r"assign.*\(2, 1\).*\(2,\)"),
    (lambda: Tensor(1.0).assign([1.0, 2.0]), r"assign.*\(2,\).*\(\)"),
]


@pytest.mark.parametrize("attempt, message", ERRORS)
def test_numpys_errors_name_the_op_and_the_shapes(attempt, message):
    with pytest.raises((ValueError, IndexError), match=rf"(?s){message}"):
        attempt()


def test_nothing_becomes_an_object_array():
    t = t2()
    row = [1.0, 2.0]
    for out in (np.ones(2) + t, np.float64(1) * t, np.array(1.0) - t, row + t, np.int8(1) / t, np.ones((2, 2)) @ t):
        assert type(out) is Tensor and out.dtype == np.float64


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_of_leaves_are_leaves_of_their_own(duplicate):
    for values in (3.0, [3.0, 4.0]):
        t = Tensor(values, name="w", dtype=np.float32, requires_grad=True)
        twin = duplicate(t)
        assert (twin.name, twin.dtype, twin.requires_grad, twin.tolist()) == ("w", np.float32, True, t.tolist())
        assert duplicate(Tensor(values, requires_grad=False)).requires_grad is False
        (t * twin * twin).sum().backward()
        np.testing.assert_allclose(t.grad, np.square(values))
        np.testing.assert_allclose(twin.grad, 2 * np.square(values))
        twin.assign(0)
        assert t.tolist() == values
        with pytest.raises(TypeError, match=r"result of multiply.*detach\(\)"):
            duplicate(t * 2)


def test_a_deepcopied_structure_keeps_shared_leaves_shared():
    t = Tensor([1.0])
    a, b = copy.deepcopy([t, t])
    assert a is b and a is not t


METHODS = sorted(name for name in dir(Tensor) if not name.startswith("_"))
CONTRACT = re.findall(
    r"\w+",
    """data grad shape ndim size dtype T name requires_grad is_leaf item numpy tolist detach copy assign backward
    register_hook add subtract multiply divide negative power square sqrt exp expm1 log log1p abs sin cos tanh sigmoid
    relu softplus maximum minimum clip matmul dot outer sum mean max min prod var std logsumexp log_softmax softmax
    reshape ravel flatten transpose swapaxes moveaxis expand_dims squeeze broadcast_to split pad flip tile repeat roll
    tril triu diagonal trace cumsum sort""",
)
FUNCTIONS = CONTRACT[CONTRACT.index("add") :] + re.findall(
    r"\w+",
    """where einsum concatenate stack no_grad detect_anomaly manual_seed grad value_and_grad vjp jvp jacobian
    hessian hvp gradients gradcheck op cross_entropy mse_loss linear""",
)


def test_every_name_of_the_contract_is_there():
    assert not [name for name in CONTRACT if not hasattr(Tensor, name)]
    assert not [name for name in FUNCTIONS if not hasattr(tinygrad_edu, name)]
    assert not [name for name in tinygrad_edu.__all__ if not hasattr(tinygrad_edu, name)]


def test_every_method_has_a_signature_and_a_docstring():
    for name in sorted({*METHODS} - {"grad", "name"}):
        member = inspect.getattr_static(Tensor, name)
        if isinstance(member, Answer):
            continue
        assert inspect.getdoc(member), name
        if callable(member):
            assert next(iter(inspect.signature(member).parameters)), name


def test_every_function_has_a_signature_and_a_docstring():
    for name in sorted({*REGISTRY, *functional.__all__, *FUNCTIONS, *ops.__all__} - {"Axis", "Operand", "linalg"}):
        function = getattr(tinygrad_edu, name, None) or REGISTRY[name].call
        assert function.__doc__ and function.__doc__.strip(), name
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.annotation is not parameter.empty, name


def test_a_star_import_leaves_pythons_functions_alone():
    namespace = {}
    exec("from tinygrad_edu import *", namespace)
    assert namespace["Tensor"] is Tensor and namespace["nn"] is tinygrad_edu.nn
    assert not {"abs", "max", "min", "sum"} & namespace.keys()


def test_an_array_of_strings_is_refused_with_the_ops_name():
    with pytest.raises(TypeError, match=r"add of \(2,\) float64, \(2,\) <U1"):
        Tensor([1.0, 2.0]) + np.array(["a", "b"])


def test_an_array_like_with_a_data_of_its_own_is_taken_by_its_values():
    class Column:  # an attribute that happens to be called as ours
        _values = "blocks"

        def __array__(self, dtype=None, copy=None):
            return np.array([0.0, 5.0])

    t = Tensor([1.0, 2.0])
    assert (t > Column()).tolist() == [True, False]
    (t * 1).backward(Column())
    assert t.grad.tolist() == [0.0, 5.0]
