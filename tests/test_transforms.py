"""Transforms against closed forms, finite differences and each other."""

import doctest
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from finite_differences import numeric
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu import (
    Tensor,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    transforms,
    value_and_grad,
    vjp,
)
from tinygrad_edu.engine import plain
from tinygrad_edu.structure import leaves, pairs, rebuild

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
ARRAYS = hnp.arrays(float, SHAPES, elements=st.floats(-2, 2).map(lambda x: round(x, 3)))


def cubes(x):
    """Each element's cube plus the product of neighbours: a Jacobian that is not diagonal."""
    return x**3 + tg.roll(x, 1) * x


Layer = namedtuple("Layer", "W b")
PAIR = {"w": 2.0, "b": np.ones(2)}
ELEMENTS = st.floats(-1.5, 1.5).map(lambda x: round(x, 2))
VECTORS = hnp.arrays(float, hnp.array_shapes(max_dims=2, max_side=2), elements=ELEMENTS)
STRUCTURES = st.recursive(
    VECTORS | VECTORS.map(Tensor),
    lambda below: st.one_of(
        st.dictionaries(st.sampled_from("abc"), below, max_size=2),
        st.tuples(below, st.none(), below),
        st.lists(below, max_size=2),
        st.builds(Layer, below, below),
    ),
    max_leaves=3,
).map(lambda tree: {"b": [0.5, 0.25], "a": tree})


def mixed(tree, power=2):
    """A number that every two elements of a structure have a part in."""
    found = [np.asarray(x) if isinstance(x, list) else x for x in leaves(tree)]
    return sum([k * np.sum(np.sin(x + k)) for k, x in enumerate(found, 1)]) ** power + sum(
        [np.sum(x**3) for x in found]
    )


def arrays_of(tree):
    return [np.asarray(plain(x)) for x in leaves(tree)]


def assert_alike(tree, found, expected):
    """`found` has the structure of `tree` and the expected leaves."""
    rows = list(pairs(tree, found, "the structure", "what was found"))
    for (_, a), b in zip(rows, expected, strict=True):
        np.testing.assert_allclose(plain(a), b, rtol=1e-6, atol=1e-6)


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
    assert float(plain(f(2.0) if order else f(Tensor(2.0)))) == pytest.approx(expected)


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
    assert type(grad(lambda b: jacobian(lambda y: b * y * y)(3.0))(2.0)) is not Tensor
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
        (lambda: grad(lambda x: x.item())(1.0), TypeError, r"returned float.*item\(\)"),
        (lambda: grad(lambda x: float(x))(1.0), TypeError, r"float\(tensor\) would lose the gradient"),
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
        (
            lambda: vjp(lambda x: [x, x], 1.0)[1]([1.0]),
            ValueError,
            r"gradient has the structure .* value has \[\*, \*\]",
        ),
        (
            lambda: vjp(lambda x: [x, x], 1.0)[1]([1.0, [2.0]]),
            ValueError,
            r"shape \(1,\) where the value\[1\] has \(\)",
        ),
        (lambda: grad(mixed)({"net": [{"act": "relu"}]}), TypeError, r"argument 0\['net'\]\[0\]\['act'\] is 'relu'"),
        (
            lambda: grad(lambda x, y: x, -1)(1.0, Layer(len, 1.0)),
            TypeError,
            r"argument 1\[0\] is <built-in function len>",
        ),
        (lambda: grad(mixed)({"W": np.ones(2), "stride": 2}), TypeError, r"\['stride'\] is 2.*an integer"),
        (lambda: grad(mixed)([np.ones(2), True]), TypeError, r"argument 0\[1\] is True.*truth value"),
        (lambda: grad(mixed)({"W": 1j}), TypeError, r"\['W'\] is 1j.*real floats"),
        (lambda: grad(mixed)([[1.0], [1.0, 2.0]]), TypeError, "argument 0 is .*is not an array"),
        (lambda: grad(lambda x: x, "x")(x=1.0), TypeError, "argnum 'x' is not an integer; keyword arguments"),
        (lambda: grad(lambda x: x)(x=1.0), ValueError, "argnum 0, but there were 0 arguments by position"),
        (lambda: grad(lambda x: None)(1.0), TypeError, "returned NoneType"),
        (lambda: grad(lambda x: (x, 2.0))(1.0), TypeError, r"returned float at \[1\]"),
        (lambda: grad(lambda x: (x, x))(1.0), TypeError, "returned a tuple, not one number"),
        (lambda: hvp(mixed, PAIR, {"w": 1.0, "c": 1.0}), ValueError, r"hvp: v has .*'c': \*\} where x has .*'b': \*\}"),
        (lambda: hvp(mixed, PAIR, {"w": 1.0, "b": [1.0]}), ValueError, r"v has shape \(1,\) where x\['b'\] has \(2,\)"),
        (lambda: jvp(mixed, (PAIR,), (1.0,)), ValueError, r"tangent has the structure \* where primals\[0\] has \{'w'"),
        (lambda: jvp(mixed, (1.0,), (PAIR,)), ValueError, r"tangent has the structure .* where primals\[0\] has \*"),
        (lambda: gradients(Tensor(1.0) * 2, {"w": [1.0, 2.0]}), TypeError, r"inputs\['w'\] is \[1.0, 2.0\]"),
        (lambda: gradients(Tensor(1.0) * 2, [[Tensor(1.0).detach()]]), ValueError, r"inputs\[0\]\[0\].*requires_grad"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@settings(max_examples=30)
@given(STRUCTURES)
def test_gradients_of_structures(tree):
    found = grad(mixed)(tree)
    assert_alike(tree, found, numeric(lambda *xs: mixed(rebuild(tree, xs)), arrays_of(tree)))
    assert_alike(tree, vjp(mixed, tree)[1](1.0)[0], arrays_of(found))
    assert_alike(tree, jacobian(mixed)(tree), arrays_of(found))
    v = rebuild(tree, [np.cos(x) for x in arrays_of(tree)])
    moved = sum([np.sum(g * d) for g, d in zip(arrays_of(found), leaves(v), strict=True)])
    np.testing.assert_allclose(plain(jvp(mixed, (tree,), (v,))[1]), moved, rtol=1e-9, atol=1e-9)


@settings(max_examples=20)
@given(STRUCTURES)
def test_second_derivatives_of_structures(tree):
    arrays = arrays_of(tree)
    v = rebuild(tree, [np.cos(x) for x in arrays])
    slope = lambda t: sum([(g * d).sum() for g, d in zip(leaves(grad(mixed)(t)), leaves(v), strict=True)])
    expected = numeric(lambda *xs: plain(slope(rebuild(tree, xs))), arrays)
    assert_alike(tree, grad(slope)(tree), expected)
    assert_alike(tree, hvp(mixed, tree, v), expected)
    assert_alike(tree, jvp(grad(mixed), (tree,), (v,))[1], expected)
    blocks = arrays_of(hessian(mixed)(tree))
    for i, along in enumerate(expected):
        row = blocks[i * len(arrays) : (i + 1) * len(arrays)]
        total = sum([np.tensordot(h, d, d.ndim) for h, d in zip(row, leaves(v), strict=True)])
        np.testing.assert_allclose(total, along, rtol=1e-6, atol=1e-6)


def test_what_is_a_structure_and_what_an_array():
    for numbers in ([1.0, 2.0], (1.0, 2.0), [np.float64(1.0), 2]):
        np.testing.assert_array_equal(grad(lambda x: (x**2).sum())(numbers), [2.0, 4.0], strict=True)
    assert grad(lambda x: (x**2).sum())([(1.0, 2.0), (3.0, 4.0)]).shape == (2, 2)
    assert grad(lambda x: x[0] * x[1].sum())([2.0, np.ones(2)])[0] == 2.0
    assert grad(lambda p: p.W * p.b)(Layer(2.0, 3.0)) == Layer(3.0, 2.0)
    assert grad(lambda p: p["w"] * 2)({"w": 1.0, "unused": None, "none": []}) == {"w": 2.0, "unused": None, "none": []}
    for kind in (OrderedDict, lambda items: defaultdict(list, items)):
        argument = kind([("z", 2.0), ("a", np.ones(2, np.float32))])
        found = grad(lambda p: p["z"] * p["a"].sum())(argument)
        assert type(found) is type(argument) and list(found) == ["z", "a"] and found["z"] == 2.0
        assert found["a"].dtype == np.float32 and argument["z"] == 2.0  # the argument itself is left alone
    assert grad(lambda p: p["k"].sum())({"k": np.arange(3)})["k"].dtype == np.float64


def test_several_arguments_and_keywords():
    f = lambda p, x, y=1.0, *, scale=1.0: scale * (p["w"] * x - y)
    assert grad(f, (0, 1))({"w": 3.0}, 2.0, scale=10.0) == ({"w": 20.0}, 30.0)
    assert grad(f, 1)({"w": 3.0}, 2.0, y=5.0, scale=10.0) == 30.0
    assert value_and_grad(f)({"w": 3.0}, 2.0, y=5.0) == (1.0, {"w": 2.0})
    assert jacobian(f, 1)({"w": 3.0}, 2.0, scale=2.0) == 6.0
    assert hessian(lambda x, power: x**power)(2.0, power=3) == 12.0
    scale = Tensor(10.0)
    found = grad(f)({"w": 3.0}, 2.0, scale=scale)["w"]
    found.backward()  # a keyword is closed over: its derivative is not lost
    assert found.data == 20.0 and scale.grad == 2.0


def test_structures_of_jacobians_and_of_hessians():
    p = {"w": 3.0, "layers": [(np.ones((2, 3)), np.ones(2))]}
    f = lambda p: {"out": p["layers"][0][0].sum(1) * p["w"], "sum": [p["w"] + p["layers"][0][1]]}
    found = jacobian(f)(p)
    assert found["out"]["w"].shape == (2,) and found["out"]["layers"][0][0].shape == (2, 2, 3)
    np.testing.assert_array_equal(found["sum"][0]["layers"][0][1], np.eye(2))
    rows = hessian(lambda p: (p["w"] ** 2 * p["layers"][0][0]).sum())(p)
    np.testing.assert_array_equal(rows["w"]["layers"][0][0], np.full((2, 3), 6.0))
    assert rows["w"]["w"] == 12.0 and rows["layers"][0][0]["layers"][0][1].shape == (2, 3, 2)
    assert hessian(lambda x: Tensor(1.0, requires_grad=False))({"w": 2.0}) == {"w": {"w": 0.0}}


def test_vjp_and_jvp_of_functions_with_several_results():
    f = lambda p, x: {"product": p["w"] * x, "square": [p["w"] ** 2]}
    value, pull = vjp(f, {"w": 3.0}, 2.0)
    assert value == {"product": 6.0, "square": [9.0]}
    assert pull({"product": 1.0, "square": [10.0]}) == ({"w": 62.0}, 3.0)
    value, moved = jvp(f, ({"w": 3.0}, 2.0), ({"w": 1.0}, 10.0))
    assert value == {"product": 6.0, "square": [9.0]} and moved == {"product": 32.0, "square": [6.0]}
    with no_grad():
        curved = vjp(lambda x: [x**3, x**2], 2.0)[1]([Tensor(1.0), 1.0])[0]
    assert curved.requires_grad and curved.data == 16.0


def test_perturbations_of_structures_are_not_confused():
    inner = lambda p: grad(lambda q: p["x"] + q["y"])({"y": p["x"]})["y"]
    assert grad(lambda p: p["x"] * inner(p))({"x": 2.0}) == {"x": 1.0}
    nested = lambda p: grad(lambda q: q["x"] ** 2 * p["x"])(p)["x"]  # 2 x * x, not 3 x * x
    assert grad(nested)({"x": 3.0}) == {"x": 12.0}
    x = Tensor(3.0)
    first, second = grad(lambda p: p[0] ** 2 * p[1])([x, x])
    assert (first.data, second.data) == (18.0, 9.0)
    (first + second).backward()
    assert x.grad == 12.0 + 6.0
    assert type(grad(lambda b: grad(lambda p: b * p["y"] ** 2)({"y": 3.0})["y"])(2.0)) is not Tensor
    with no_grad():
        assert type(grad(lambda p: p[0] * p[1])([x, x])[0]) is not Tensor


def test_gradients_keep_the_structure_of_the_inputs():
    w, b, stranger = Tensor([1.0, 2.0]), Tensor(3.0), Tensor([[1.0]])
    loss = (w * w * b).sum()
    found = gradients(loss, {"layers": [Layer(w, b)], "other": (stranger, w), "none": None})
    assert found["layers"][0].b == 5.0 and found["none"] is None and found["other"][0].shape == (1, 1)
    for g in (found["layers"][0].W, found["other"][1]):
        np.testing.assert_array_equal(g, [6.0, 12.0])
    assert type(gradients(loss, (w, b))) is tuple and type(gradients(loss, {w: 0, b: 0}.keys())) is list
    slope = gradients(loss, {"w": w}, create_graph=True)["w"]
    assert gradients(slope.sum(), {"b": b})["b"] == 6.0


@pytest.mark.parametrize("params", ["dict", "tuple"])
def test_a_net_agrees_with_autograd(params):
    anp = pytest.importorskip("autograd.numpy")
    from autograd import grad as autograd_grad, value_and_grad as autograd_value_and_grad

    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(3, 4)), rng.normal(size=4)), (rng.normal(size=(4, 2)), rng.normal(size=2))]
    tree = {"layers": layers, "scale": 0.5} if params == "dict" else (layers, 0.5)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def loss(tree, x, lib=np):
        layers, scale = (tree["layers"], tree["scale"]) if params == "dict" else tree
        for w, b in layers:
            x = lib.tanh(lib.dot(x, w) + b) * scale
        return lib.sum((x - y) ** 2)

    value, found = value_and_grad(loss)(tree, x)
    expected_value, expected = autograd_value_and_grad(loss)(tree, x, lib=anp)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_alike(tree, found, leaves(expected))
    curved = lambda grad, *lib: (
        lambda tree: sum([(g * g).sum() for layer in grad(loss)(tree, x, *lib)[0] for g in layer], 0.0)
    )
    if params == "tuple":
        assert_alike(tree, grad(curved(grad))(tree), leaves(autograd_grad(curved(autograd_grad, anp))(tree)))


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(transforms).failed == 0
