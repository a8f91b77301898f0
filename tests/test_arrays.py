"""Arrays that are not NumPy's: the walks over ops and layers on a stand-in that NumPy cannot read."""

import copy
import math
import pickle
import sys

import numpy as np
import pytest
from domains import DOMAINS, FUNCTIONS
from elsewhere import ATTEMPTS, BROUGHT_HOME, KIND, LIBRARY, PLACE, Elsewhere, nothing_is_converted, numbers, there
from finite_differences import flat, ours, weights
from hypothesis import assume, given, settings, strategies as st
from strategies import convolutions, filled, variables

from tinygrad_edu import (
    Tensor,
    detect_anomaly,
    functional as F,
    grad,
    gradcheck,
    hessian,
    jacobian,
    jvp,
    nn,
    op,
)
from tinygrad_edu.arrays import KINDS, beside, is_elsewhere
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.ops import by_windows, convolution
from tinygrad_edu.ops.elementwise import erf_elsewhere

AT_HOME = {  # functions that bring an array home: which elements are meant, or between which a quantile lies
    "array_split": lambda x: np.array_split(x, there(np.array([1]))),
    "dsplit": lambda x: np.dsplit(x[None], there(np.array([1]))),
    "hsplit": lambda x: np.hsplit(x, there(np.array([1]))),
    "split": lambda x: np.split(x, there(np.array([1]))),
    "vsplit": lambda x: np.vsplit(x, there(np.array([1]))),
    "delete": lambda x: np.delete(x, there(np.array([0]))),
    "insert": lambda x: np.insert(x, there(np.array([0])), 1.0),
    "median": np.median,
    "nanmedian": np.nanmedian,
    "nanpercentile": lambda x: np.nanpercentile(x, 30),
    "nanquantile": lambda x: np.nanquantile(x, 0.3),
    "percentile": lambda x: np.percentile(x, 30),
    "quantile": lambda x: np.quantile(x, 0.3),
}
SIGNS = "singular and eigenvectors are unique up to their signs, which a GPU's library chooses otherwise"
NOT_ON_CUPY = {"eigh": SIGNS, "svd": SIGNS}  # what CuPy answers otherwise, and why


def skip_gaps(name, params=()):
    """Leaves out what no comparison with NumPy can show, on CuPy itself; and a dtype that CuPy has not."""
    if LIBRARY == "cupy" and (why := NOT_ON_CUPY.get(name.removeprefix("linalg."))):
        pytest.skip(why)
    assume("dtype" not in params or np.dtype(params["dtype"]) != np.longdouble)


def results(function, args, params):
    """The Tensors that come out."""
    return [x for x in flat([function(*args, **params)]) if isinstance(x, Tensor)]


def gradients(outputs, tensors, put, create_graph):
    """What arrives at the tensors from all outputs, weighted."""
    for x in tensors:
        x.grad = None
    for out in outputs:
        if out.requires_grad:
            out.backward(put(weights(out.shape)), create_graph=create_graph)
    return [x.grad for x in tensors]


def agree(found, expected):
    """Whether an array from elsewhere, or a Tensor of one, has NumPy's numbers."""
    found, expected = [x.data if isinstance(x, Tensor) else x for x in (found, expected)]
    assert type(found) is KIND and found.dtype == expected.dtype and found.shape == np.shape(expected)
    np.testing.assert_allclose(numbers(found), expected, 1e-10, 1e-12)


def check_elsewhere(function, args, params):
    """The same values and gradients, of arrays and of Tensors, as with NumPy's arrays."""
    xs = variables(args)
    here, away = [Tensor(x) for x in xs], [Tensor(PLACE.asarray(np.array(x))) for x in xs]
    expected = results(function, filled(args, here), params)
    found = results(function, [there(x) for x in filled(args, away)], there(params))
    assert len(found) == len(expected)
    for out, right in zip(found, expected, strict=True):
        agree(out, right)
    for create_graph in (False, True):
        rights = gradients(expected, here, lambda x: x, create_graph)
        for g, right in zip(gradients(found, away, there, create_graph), rights, strict=True):
            assert (g is None) == (right is None)
            if g is not None:
                agree(g, right)


@pytest.mark.parametrize("name", sorted(DOMAINS))
@given(data=st.data())
@settings(max_examples=4)
def test_every_op(name, data):
    args, params = data.draw(DOMAINS[name])
    skip_gaps(name, params)
    check_elsewhere(REGISTRY[name].call, args, params)
    assert BROUGHT_HOME == []


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@given(data=st.data())
@settings(max_examples=4)
def test_every_composed_function(name, data):
    args, params = data.draw(FUNCTIONS[name])
    skip_gaps(name, params)
    check_elsewhere(ours(name), args, params)
    assert name in AT_HOME or BROUGHT_HOME == []


@pytest.mark.parametrize("name", AT_HOME)
def test_what_is_worked_out_at_home(name):
    AT_HOME[name](Tensor(there(np.array([[1.0, 4.0], [2.0, 3.0]]))))
    assert KIND is not Elsewhere or BROUGHT_HOME


MATRIX = np.array([[4.0, 1.0], [9.0, 3.0]])
PLACES = np.array([[1, -1], [0, -2]])
OTHER_WAYS = {  # what goes another way elsewhere, by arguments that the walk does not draw
    "cholesky": lambda put: np.linalg.cholesky(Tensor(put(MATRIX)), upper=True),
    "clip": lambda put: np.take(Tensor(put(MATRIX)), put(3 * PLACES), 1, mode="clip"),
    "geomspace": lambda put: np.geomspace(Tensor(put(-MATRIX)), -8.0, 4),
    "hermitian": lambda put: np.linalg.pinv(Tensor(put(MATRIX)), hermitian=True),
    "number": lambda put: np.max(Tensor(put(np.array(3.0))), axis=-1),
    "partition": lambda put: np.partition(Tensor(put(MATRIX)), 1, 0, "introselect"),
    "raise": lambda put: np.take(Tensor(put(MATRIX)), put(PLACES), 0),
    "rcond": lambda put: np.linalg.pinv(Tensor(put(MATRIX[None])), [1e-15]),
    "solve": lambda put: np.linalg.solve(Tensor(put(MATRIX)), put(np.ones((3, 2, 1)))),
    "sort": lambda put: np.sort(Tensor(put(MATRIX)), kind="quicksort"),
    "where": lambda put: np.where(True, Tensor(put(MATRIX)), 0.0),
    "wrap": lambda put: np.take(Tensor(put(MATRIX)), put(3 * PLACES), 1, mode="wrap"),
}


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_other_ways(name):
    found, expected = OTHER_WAYS[name](there), OTHER_WAYS[name](lambda values: values)
    agree(found, expected.data)
    found.sum().backward()


def test_an_index_out_of_bounds_is_refused():
    with pytest.raises(IndexError, match="take: an index is out of bounds for axis with size 2"):
        np.take(Tensor(there(MATRIX)), there(PLACES + 2), 0)


def test_a_function_that_the_library_lacks():
    with pytest.raises(TypeError, match=f"^{LIBRARY} has no geomspace, which is needed here"):
        beside(there(MATRIX), np.geomspace, 1.0, 2.0)


def test_an_op_that_reads_the_numbers_is_caught():
    @op(lambda g, out, x: g * np.asarray(x))
    def reads(x):
        return x * x

    try:
        with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
            check_elsewhere(reads, (np.ones(3),), {})
        assert len(ATTEMPTS) == (KIND is Elsewhere)
    finally:
        del REGISTRY["reads"]
        ATTEMPTS.clear()


@given(convolutions())
def test_convolution_by_windows_is_the_fast_one(drawn):
    (x, weight), how = drawn[0][:2], {"dilation": (1, 1), "groups": 1, **drawn[1]}
    expected = convolution.conv2d(x, weight, **how)
    y = np.random.default_rng(0).normal(size=expected.shape)
    pairs = [
        (by_windows.conv2d(x, weight, **how), expected),
    ]
    for name, operands, shape in (("conv2d_input", (y, weight), x.shape), ("conv2d_weight", (x, y), weight.shape)):
        pairs.append([getattr(module, name)(*operands, shape=shape, **how) for module in (by_windows, convolution)])
    for found, right in pairs:
        np.testing.assert_allclose(found, right, 1e-12, 1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_erf_by_polynomials(dtype, tolerance):
    x = np.concatenate([np.linspace(-8, 8, 999), [0.0, 1e-30, -1e-5, np.inf, -np.inf]]).astype(dtype)
    found = erf_elsewhere(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [math.erf(v) for v in x.tolist()], tolerance)
    assert np.isnan(erf_elsewhere(np.array([np.nan]))).all()


__all__ = ["nothing_is_converted"]  # a fixture of every test here
X, LABELS = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32), np.arange(6) % 3
IMAGES = np.ones((4, 2, 8, 8), np.float32)


def test_pictures_and_checks():
    pictures = []
    for put in (lambda values: values, there):
        x, w = Tensor(put(np.eye(2)), name="x"), Tensor(put(np.array([[1.0], [2.0]])), name="w")
        loss = np.tanh(x @ w).sum()
        loss.backward()
        pictures.append((loss.graph(gradients="grad").source, str(loss.explain(x))))
    assert pictures[0] == pictures[1]
    assert gradcheck(lambda a: np.tanh(a @ a), there(np.eye(2)), order=2)
    with detect_anomaly():
        (x * x).sum().backward()
    model = nn.MLP([8, 16, 3], batch_norm=True).to(PLACE)
    assert "16" in str(model.summary(8)) and "relu" in model.graph(there(X)).source


def test_transforms():
    cube, v = lambda t: (t**3).sum(), np.array([1.0, 2.0])
    agree(grad(cube)(there(v)), 3 * v**2)
    agree(hessian(cube)(there(v)), np.diag(6 * v))
    agree(jacobian(lambda t: t * t)(there(v)), np.diag(2 * v))
    agree(jvp(cube, (there(v),), (there(v),))[1], np.array((3 * v**3).sum()))


def test_a_tensor_of_an_array_elsewhere():
    x = Tensor(there(np.array([[1.0, 2.0]])), name="x")
    assert repr(x) == "Tensor([[1., 2.]], name='x')" and x.tolist() == [[1.0, 2.0]] and f"{x.sum():.1f}" == "3.0"
    assert type(x.numpy()) is np.ndarray and x[0, 1].item() == 2.0 and 2.0 in x and bool(x.sum() > 2)
    assert [row.shape for row in x] == [(2,)] and type(x > 1) is KIND
    for twin in (x.detach(), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(twin.data) is KIND and twin.data is not x.data
    x.assign([[3.0, 4.0]])
    x.data -= 1.0
    assert x.tolist() == [[2.0, 3.0]]
    x.sum().backward()
    x.register_hook(lambda g: 2 * g)
    x.sum().backward()
    agree(x.grad, np.full((1, 2), 3.0))


def test_a_leafs_gradient_is_nobody_elses():
    x = Tensor(there(np.ones(3)))
    y = x + 0.0
    y.backward(there(np.ones(3)))
    x.grad += 1.0
    agree(y.grad, np.ones(3))
    upstream = there(np.ones(3))
    x.grad = None
    x.backward(upstream)
    x.grad += 1.0
    agree(upstream, np.ones(3))


def test_a_number_beside_an_array_elsewhere_keeps_its_place():
    scale, x = Tensor(2.0), Tensor(there(np.array([1.0, 2.0])))
    (scale * x).sum().backward()
    assert type(scale.grad) is np.float64 and scale.grad == 3.0
    agree(x.grad, np.full(2, 2.0))


def test_a_constant_is_no_view():
    x = Tensor(there(np.ones((2, 2))), requires_grad=False)
    row = x[0]
    x.assign(5.0)
    assert row.tolist() == [1.0, 1.0]


BATCH = f"is an array of NumPy's beside those of {LIBRARY}, in another memory; bring it there"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(8, 3).to(PLACE)(X), rf"^linear of \(6, 8\) float32, .*x {BATCH}"),
        (lambda: nn.MLP([8, 4, 3]).to(PLACE)(X), rf"^linear of .*x {BATCH}"),
        (lambda: nn.Conv2d(2, 4, 3).to(PLACE)(IMAGES), rf"^conv2d of \(4, 2, 8, 8\) float32.*{BATCH}"),
        (lambda: Tensor(there(X)) + X, rf"^add of .*y {BATCH}"),
        (lambda: F.mse_loss(Tensor(there(X)), X), rf"^subtract of .*y {BATCH}"),
    ],
)  # fmt: skip
def test_numpys_batches_are_refused_with_what_to_add(call, message):
    with pytest.raises(TypeError, match=message):
        call()
    ATTEMPTS.clear()


def test_the_line_to_add_names_the_library(monkeypatch):
    monkeypatch.setattr(sys.modules[LIBRARY], "asarray", PLACE.asarray, raising=False)
    with pytest.raises(TypeError, match=rf"bring it there: {LIBRARY}\.asarray\(x\)$"):
        nn.Linear(8, 3).to(PLACE)(X)


def test_labels_may_stay_here():
    logits = Tensor(there(X))
    found = F.cross_entropy(logits, LABELS)
    found.backward()
    right = Tensor(X)
    F.cross_entropy(right, LABELS).backward()
    agree(logits.grad, right.grad)


def test_what_is_no_array_from_elsewhere():
    class Half:
        """Answers one of the protocols."""

        shape, dtype = (2,), np.dtype(float)

        def __array_ufunc__(self, *args, **kwargs):
            return NotImplemented

    for x in (Half(), np.ma.array([1.0]), np.float64(1.0), Tensor(1.0), 3.0, [1.0]):
        assert not is_elsewhere(x) and type(x) not in KINDS
