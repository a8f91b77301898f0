"""Derivatives against two peers, HIPS autograd and PyTorch, where these are installed; neither is needed.

Both are walked on the domains of the other tests. A form of arguments that a peer refuses is passed over; a function
none of whose forms it takes fails as unsatisfiable.
"""

import warnings
from functools import partial
from importlib.util import find_spec
from operator import attrgetter

import numpy as np
import pytest
from domains import DOMAINS, FUNCTIONS as COMPOSED, linalg as domains
from finite_differences import analytic, compare, joined, ours, weights
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from strategies import as_function, filled, variables

import tinygrad_edu
from tinygrad_edu import Tensor, linalg

if not (find_spec("autograd") or find_spec("torch")):
    pytest.skip("neither autograd nor PyTorch is installed", allow_module_level=True)

RULED = {name if hasattr(tinygrad_edu, name) else f"linalg.{name}": case for name, case in DOMAINS.items()}
CASES = {k: v for k, v in RULED.items() if hasattr(tinygrad_edu, k) or hasattr(linalg, k[7:])} | COMPOSED
few = settings(max_examples=5, derandomize=True, suppress_health_check=list(HealthCheck))

AUTOGRAD_LACKS = {  # why: the functions that are not compared
    "no such function": """
        binary_cross_entropy binary_cross_entropy_with_logits centred clamped_log clamped_log1p conv2d cosine_similarity
        cross_entropy dropout elu embedding erf flatten gelu hinge_embedding_loss huber_loss kl_div l1_loss l1_penalty
        l2_penalty leaky_relu linear log_softmax logsumexp mse_loss multi_margin_loss nll_loss normalize over_rms prelu
        relu scaled_dot_product_attention scatter self_attention sigmoid silu sliding_window_view smooth_l1_loss
        softmax softplus""",
    "no derivative": """
        apply_along_axis apply_over_axes average bincount broadcast_arrays cbrt compress convolve copy copysign corrcoef
        correlate cov cumprod cumulative_prod cumulative_sum delete diagflat divmod ediff1d extract flip float_power
        fmod geomspace heaviside i0 insert interp ldexp linalg.cond linalg.cross linalg.diagonal linalg.eigvalsh
        linalg.lstsq linalg.matrix_norm linalg.matrix_power linalg.matrix_transpose linalg.outer linalg.qr
        linalg.svdvals linalg.tensordot linalg.tensorinv linalg.tensorsolve linalg.trace linalg.vecdot
        linalg.vector_norm logspace matrix_transpose matvec median meshgrid modf nancumprod nancumsum nanmax nanmean
        nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar percentile piecewise polyadd polyder
        polyfit polyint polymul polysub polyval positive ptp quantile resize take take_along_axis trapezoid trim_zeros
        unique unique_values unstack unwrap vander vdot vecdot vecmat""",
    "no derivative to arrays in a list": "block concat dstack linalg.multi_dot",
    "its derivative knows no offset, prepend or append": "diagonal diff",
}
AUTOGRAD_IGNORES = {"where", "initial", "correction"}  # keywords that its derivatives of reductions do not look at
AUTOGRAD_MISSES = {  # name: arguments whose derivative it gets wrong, or that the call below does not have
    "cross": lambda x, y, **axes: x.shape != y.shape,
    "diag": lambda x, k: x.ndim == 2 and x.shape[0] != x.shape[1],
    "gradient": lambda x, *spacing, edge_order, **kwargs: spacing or edge_order == 2,
    "kron": lambda x, y: np.ndim(x) != np.ndim(y),
    "linalg.pinv": lambda x, **cutoff: 0.5 in cutoff.values(),
    "linspace": lambda x, y, endpoint, retstep, **kwargs: np.shape(x) != np.shape(y) or not endpoint or retstep,
    "prod": lambda x, **kwargs: np.ndim(x) == 0 or 0 in x,  # NaN
    "repeat": lambda x, repeats, axis: (axis or 0) < 0,
    "tile": lambda x, reps: np.size(reps) < np.ndim(x),
}
AUTOGRAD_CALLS = {  # name: the same call, in the form that it differentiates
    "astype": lambda np, x, dtype: x.astype(dtype),
    "broadcast_to": lambda np, x, shape: np.broadcast_to(x, shape),
    "getitem": lambda np, x, index: x[index],
    "gradient": lambda np, x, axis, edge_order: np.gradient(x, axis=axis),
    "linalg.cholesky": lambda np, x, upper: np.linalg.cholesky(x),  # of matrices of one element
    "linalg.pinv": lambda np, x, **cutoff: np.linalg.pinv(x),
    "linspace": lambda np, x, y, num, axis, **kwargs: np.moveaxis(np.linspace(x, y, num), 0, axis),
    "rot90": lambda np, x, k, axes: np.moveaxis(np.rot90(np.moveaxis(x, axes, (0, 1)), k), (0, 1), axes),
    "trace": lambda np, x, offset, axis1, axis2: np.trace(np.moveaxis(x, (axis1, axis2), (0, 1)), offset),
}


def results(out):
    """All floats among the results of a peer's call, which may stand in a list, a tuple or autograd's box of one."""
    if isinstance(out, (list, tuple)) or type(out).__name__ == "SequenceBox":
        return [x for part in out for x in results(part)]
    return [out] if "float" in str(getattr(out, "dtype", type(out))) else []


def agree(name, function, args, kwargs, peer):
    """Our value and gradients are those of peer(weights), which the peer may refuse to compute."""
    f, xs = as_function(joined(function), args, kwargs)
    assume(xs)
    found, value = analytic(f, xs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected, gradients = peer(weights(value.shape))
        except Exception as refusal:  # each has its own
            print(f"{name}{args, kwargs}: {refusal!r}")
            assume(False)
    np.testing.assert_allclose(value, expected.reshape(value.shape), rtol=1e-10, atol=1e-12)
    compare(found, gradients, name, 1e-9)


def by_autograd(np, name, args, kwargs, weights):
    """The value, and the gradients of sum(weights * value)."""
    if name in AUTOGRAD_CALLS:
        call = partial(AUTOGRAD_CALLS[name], np)
    else:
        call = attrgetter(name)(np.fft if name.endswith("shift") else np)
    f, xs = as_function(call, args, kwargs)

    def joined(xs):
        out = results(f(*xs))
        return out[0] if len(out) == 1 else np.concatenate([np.ravel(x) for x in out])

    vjp, value = pytest.importorskip("autograd").make_vjp(joined)(tuple(xs))
    return value, vjp(weights.reshape(value.shape))


@pytest.fixture(scope="module")
def autograd():
    return pytest.importorskip("autograd.numpy", reason="autograd is not installed")


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(" ".join(AUTOGRAD_LACKS.values()).split())))
@given(data=st.data())
@few
def test_autograd(autograd, name, data):
    args, kwargs = data.draw(CASES[name])
    assume(not AUTOGRAD_IGNORES & kwargs.keys())
    assume(name not in AUTOGRAD_MISSES or not AUTOGRAD_MISSES[name](*args, **kwargs))
    agree(name, ours(name), args, kwargs, lambda weights: by_autograd(autograd, name, args, kwargs, weights))


def test_autograds_table_names_our_functions():
    assert set(" ".join(AUTOGRAD_LACKS.values()).split()) <= CASES.keys()


KEYWORDS = {"axis": "dim", "axes": "dims", "keepdims": "keepdim", "ddof": "correction", "method": "interpolation"}
KEYWORDS |= {"axis1": "dim1", "axis2": "dim2", "a_min": "min", "a_max": "max"}
SAME = """
    abs add arccos arccosh arcsin arcsinh arctan arctan2 arctanh atleast_1d atleast_2d atleast_3d ceil clip column_stack
    concat concatenate copysign cos cosh deg2rad diagonal diff divide dstack einsum erf exp exp2 expm1 fliplr flipud
    float_power floor fmax fmin fmod gradient hstack hypot i0 inner kron linalg.cond linalg.cross linalg.det
    linalg.diagonal linalg.inv linalg.matrix_norm linalg.matrix_power linalg.multi_dot linalg.norm linalg.pinv
    linalg.slogdet linalg.solve linalg.svdvals linalg.tensorinv linalg.tensorsolve linalg.vecdot linalg.vector_norm log
    log10 log1p log2 log_softmax logaddexp logaddexp2 logsumexp matmul maximum mean minimum moveaxis multiply nan_to_num
    nanmean nansum negative positive prod rad2deg reciprocal relu remainder reshape roll rot90 round sigmoid sign sin
    sinc sinh softmax sqrt square squeeze stack subtract sum swapaxes tan tanh tensordot trunc vstack where"""
RENAMED = """
    degrees:rad2deg expand_dims:unsqueeze fftshift:fft.fftshift flatten:ravel
    ifftshift:fft.ifftshift linalg.matrix_transpose:adjoint linalg.outer:outer linalg.tensordot:tensordot
    matrix_transpose:adjoint max:amax min:amin power:pow radians:deg2rad repeat:repeat_interleave rint:round
    transpose:permute unstack:unbind vecdot:linalg.vecdot"""
FUNCTIONAL = """
    binary_cross_entropy binary_cross_entropy_with_logits conv2d elu gelu huber_loss l1_loss leaky_relu linear mse_loss
    prelu silu softplus"""


def after_flattening(function):
    """The function along an axis, which NumPy applies to all elements in a row where axis is None."""
    return lambda torch, x, dim=None: getattr(torch, function)(x.ravel() if dim is None else x, dim or 0)


def by_position(function):
    """The function with all its arguments by position."""
    return lambda torch, *args, **kwargs: getattr(torch, function)(*args, *kwargs.values())


def spread(function):
    """The function with NumPy's default of the correction."""
    return lambda torch, x, correction=0, **kwargs: getattr(torch, function)(x, correction=correction, **kwargs)


def ranked(function):
    """The function with fractions in a tensor, and the median if there are none: torch.median is the lower of two."""
    return lambda torch, x, q=0.5, **kwargs: getattr(torch, function)(x, torch.tensor(q, dtype=x.dtype), **kwargs)


def observations(torch, x, y, rowvar):
    """The rows, one a variable, of one array or two."""
    rows = [torch.atleast_2d(z) if rowvar or z.ndim == 1 else z.mT for z in (x, y) if z is not None]
    return torch.cat(rows)


TORCH = {name: attrgetter(name) for name in SAME.split()}
TORCH |= {ours: attrgetter(theirs) for ours, _, theirs in (pair.partition(":") for pair in RENAMED.split())}
TORCH |= {name: attrgetter(f"nn.functional.{name}") for name in FUNCTIONAL.split()}
TORCH_CALLS = {  # as it is called there
    "cbrt": lambda torch, x: x ** (1 / 3),  # of positive numbers
    "corrcoef": lambda torch, *args, **kwargs: torch.corrcoef(observations(torch, *args, **kwargs)),
    "cov": lambda torch, x, y, rowvar, bias=False, correction=None, **weights: torch.cov(
        observations(torch, x, y, rowvar), correction=1 - bias if correction is None else correction, **weights
    ),
    "cumprod": after_flattening("cumprod"),
    "cumsum": after_flattening("cumsum"),
    "cross_entropy": lambda torch, x, y, **kwargs: torch.nn.functional.cross_entropy(
        *[z.movedim(-1, 1) if z.ndim == x.ndim > 1 else z for z in (x, y)], **kwargs
    ),
    "dot": lambda torch, x, y: torch.tensordot(x, y, ([-1], [-min(y.ndim, 2)])) if x.ndim and y.ndim else x * y,
    "flip": lambda torch, x, dim=None: torch.flip(x, [*range(x.ndim)] if dim is None else np.ravel(dim).tolist()),
    "ldexp": lambda torch, x, i: torch.ldexp(x, i.double()),  # for i < 0, integers give it a derivative of 0
    "linalg.lstsq": lambda torch, x, y: torch.linalg.lstsq(x, y).solution,
    "meshgrid": lambda torch, *xs, sparse, indexing: torch.meshgrid(*xs, indexing=indexing),
    "outer": lambda torch, x, y: torch.outer(x.ravel(), y.ravel()),
    "ravel": lambda torch, x, order: x.ravel() if order == "C" else x.permute(*range(x.ndim)[::-1]).ravel(),
    "sort": after_flattening("sort"),
    "take_along_axis": lambda torch, x, i, dim=None: torch.take_along_dim(
        x, i % (x.numel() if dim is None else x.shape[dim]), dim
    ),
    "tile": lambda torch, x, reps: torch.tile(x, tuple(np.ravel(reps).tolist())),
    "trace": lambda torch, x, **kwargs: torch.diagonal(x, **kwargs).sum(-1),
    "trapezoid": lambda torch, y, x, dx, dim: torch.trapezoid(y, **({"dx": dx} if x is None else {"x": x}), dim=dim),
    "vdot": lambda torch, x, y: torch.vdot(x.ravel(), y.ravel()),
}
TORCH_CALLS |= {name: by_position(name) for name in ("broadcast_to", "diag", "diagflat", "tril", "triu")}
TORCH_CALLS |= {
    "median": ranked("quantile"),
    "quantile": ranked("quantile"),
    "std": spread("std"),
    "var": spread("var"),
}
TORCH_CALLS |= {"nanmedian": ranked("nanquantile"), "nanquantile": ranked("nanquantile")}
TORCH |= {name: partial(partial, call) for name, call in TORCH_CALLS.items()}
TORCH_MISSES = {  # name: arguments whose derivative it gets wrong, or that the call above does not have
    "linalg.pinv": lambda x, **cutoff: 0.5 in cutoff.values(),  # singular values that are cut off
    "meshgrid": lambda *xs, sparse, indexing: sparse,
}
OURS = {"linalg.lstsq": lambda x, y: linalg.lstsq(x, y)[0]}  # where the results are not all the same


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def by_torch(torch, function, args, kwargs, weights):
    """The value, and the gradients of sum(weights * value)."""

    def tensor(x):
        if isinstance(x, list):
            return [tensor(y) for y in x]
        return torch.as_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x

    tensors = [torch.tensor(x, requires_grad=True) for x in variables(args)]
    kwargs = {KEYWORDS.get(k, k): tensor(x) for k, x in kwargs.items() if x is not None}
    out = results(function(*map(tensor, filled(args, tensors)), **kwargs))
    value = out[0] if len(out) == 1 else torch.cat([x.ravel() for x in out])
    upstream = torch.tensor(weights).reshape(value.shape)
    gradients = torch.autograd.grad(value, tensors, upstream, materialize_grads=True)
    return value.detach().numpy(), [g.numpy() for g in gradients]


@pytest.mark.parametrize("name", sorted(TORCH))
@given(data=st.data())
@few
def test_torch(torch, name, data):
    args, kwargs = data.draw(CASES[name])
    assume(kwargs.get("axis") != ())  # no axis for NumPy, all for torch
    assume(name not in TORCH_MISSES or not TORCH_MISSES[name](*args, **kwargs))
    mine, theirs = OURS.get(name, ours(name)), TORCH[name](torch)
    agree(name, mine, args, kwargs, lambda weights: by_torch(torch, theirs, args, kwargs, weights))


DECOMPOSITIONS = {  # of wide matrices; squares do not depend on LAPACK's choice of signs
    "cholesky": lambda linalg, x: linalg.cholesky(x @ x.mT),
    "eigh": lambda linalg, x: [y * y for y in linalg.eigh(x @ x.mT)],
    "eigvalsh": lambda linalg, x: linalg.eigvalsh(x @ x.mT),
    "qr": lambda linalg, x: [y * y for y in linalg.qr(x)],
    "qr of tall": lambda linalg, x: [y * y for y in linalg.qr(x.mT)],
    "svd": lambda linalg, x: [y * y for y in linalg.svd(x, full_matrices=False)],
}
wide = st.sampled_from([(1, 1), (2, 2), (2, 3), (1, 3), (3, 3)]).flatmap(domains.of_shape)


@pytest.mark.parametrize("name", sorted(DECOMPOSITIONS))
@given(x=wide)
@few
def test_torchs_decompositions(torch, name, x):
    f, theirs = (partial(DECOMPOSITIONS[name], library) for library in (linalg, torch.linalg))
    agree(name, f, (x,), {}, lambda weights: by_torch(torch, theirs, (x,), {}, weights))


inf, nan, zero, one = np.inf, np.nan, [[0, 0], [0, 0]], [[1, 0], [0, 1]]
ALIKE = [  # name, arguments: the values and the derivatives are PyTorch's there
    *[("abs", [0, -0.0]), ("sign", [0, 1]), ("relu", [-1, 0, 1]), ("leaky_relu", [0]), ("elu", [0]), ("sqrt", [0, 4])],
    *[("log", [0, 1]), ("reciprocal", [0, 1]), ("arcsin", [1, -1]), ("arccosh", [1]), ("cbrt", [0]), ("i0", [0, -1])],
    *[("sinc", [0, 1]), ("softplus", [1e3, -1e3]), ("round", [0.5, 1.5]), ("nan_to_num", [nan, inf, -inf, 1])],
    *[("power", [0, 2], 0), ("power", [0, 0, 0], [0, 1, 2]), ("power", [-2], [3]), ("arctan2", [0], [0])],
    *[("maximum", [1, 0], [1, 1]), ("minimum", [1, 0], [1, 1]), ("clip", [-2, -1, 0, 1, 2], -1, 1)],
    *[("remainder", [4, -4, 4, -3], [2, 2, -3, 2]), ("fmod", [4, -3, 3], [2, 2, -2]), ("l1_loss", [1, 2], [1, 3])],
    *[("max", [3, 1, 3]), ("max", [3, 1, nan]), ("min", [1, 1, 3]), ("prod", [0, 2, 3]), ("prod", [0, 2, 0])],
    *[("cumprod", [2, 0, 3, 4]), ("cumprod", [2, 0, 3, 0, 5]), ("std", [1, 1, 1]), ("std", [1]), ("var", [1])],
    *[("nansum", [nan, 1]), ("nanmean", [nan, 1, 3]), ("quantile", [1, 3, 2], 0.5), ("logaddexp", [inf, 0], [0, -inf])],
    *[("linalg.norm", [0, 0]), ("linalg.norm", [0, 1], 1), ("linalg.norm", [0, 0], 3), ("linalg.norm", zero, "fro")],
    *[("linalg.norm", [2, -2, 1], inf), ("linalg.norm", [2, -2, 3], -inf), ("linalg.norm", one, "nuc")],
    *[("linalg.norm", one, 2), ("linalg.svdvals", one), ("linalg.matrix_power", one, 0)],
    *[("linalg.det", zero), ("linalg.pinv", zero), ("linalg.slogdet", [[-1, 0], [0, 2]])],
]
UNLIKE = [  # name, arguments, our gradient with respect to the first, PyTorch's
    ("relu", ([nan],), [nan], [1]),  # from NaN we do not say that all is well
    ("clip", ([nan], -1, 1), [nan], [0]),
    ("maximum", ([nan], [1]), [nan], [1]),
    ("fmax", ([1], [1]), [0.5], [1]),  # as maximum has it
    ("hypot", ([0], [0]), [0], [nan]),  # as norm has it
    ("logaddexp", ([-inf], [-inf]), [0.5], [nan]),
    ("logsumexp", ([-inf, -inf], 0), [0.5, 0.5], [nan, nan]),
    ("linalg.det", ([[1, 2], [2, 4]],), [[4, -2], [-2, 1]], [[0, 0], [0, 0]]),  # the cofactors
    ("linalg.norm", ([[2, 0], [0, 0]], "nuc"), [[1, 0], [0, 0]], [[1, 0], [0, 1]]),  # the smallest subgradient
    ("binary_cross_entropy", ([0, 1], [0, 1]), [0.5, -0.5], [0, 0]),  # -log(1 - x) has the slope 1 at 0
]


def floats(args):
    """The arguments with arrays for lists."""
    return tuple([np.array(x, float) if isinstance(x, list) else x for x in args])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of poles
@pytest.mark.parametrize("name, args", [(name, args) for name, *args in ALIKE], ids=str)
def test_special_values_are_torchs(torch, name, args):
    args = floats(args)
    found, value = analytic(*as_function(joined(ours(name)), args, {}))
    expected, gradients = by_torch(torch, TORCH[name](torch), args, {}, weights(value.shape))
    for a, b in zip([value, *found], [expected, *gradients], strict=True):
        np.testing.assert_allclose(a, b.reshape(a.shape), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name, args, mine, torchs", UNLIKE, ids=str)
def test_special_values_that_are_not_torchs(torch, name, args, mine, torchs):
    args = floats(args)
    x = Tensor(args[0])
    out = ours(name)(x, *args[1:])
    out.backward(np.ones(out.shape))
    expected, gradients = by_torch(torch, TORCH[name](torch), args, {}, np.ones(out.shape))
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(x.grad, mine, rtol=1e-12)
    np.testing.assert_allclose(gradients[0], torchs, rtol=1e-12)
