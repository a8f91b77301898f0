"""Each layer in each dtype and memory layout against the same layer in float64: nothing wraps around or saturates."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn

RNG = np.random.default_rng
VECTORS, SEQUENCES, IMAGES = (6, 4), (3, 2, 6), (3, 2, 5, 5)
LAYERS = {
    "Linear": (lambda dtype: nn.Linear(4, 3, rng=RNG(3), dtype=dtype), VECTORS),
    "Maxout": (lambda dtype: nn.Maxout(4, 3, rng=RNG(3), dtype=dtype), VECTORS),
    "MLP": (lambda dtype: nn.MLP([4, 5, 3], rng=RNG(3), dtype=dtype), VECTORS),
    "Residual": (lambda dtype: nn.Residual(nn.Linear(4, 4, rng=RNG(3), dtype=dtype)), VECTORS),
    "Conv2d": (lambda dtype: nn.Conv2d(2, 3, 3, padding=1, rng=RNG(3), dtype=dtype), IMAGES),
    "Conv1d": (lambda dtype: nn.Conv1d(2, 3, 3, padding="same", rng=RNG(3), dtype=dtype), SEQUENCES),
    "groups": (lambda dtype: nn.Conv2d(2, 4, 2, dilation=2, groups=2, rng=RNG(3), dtype=dtype), IMAGES),
    "reflect": (lambda dtype: nn.Conv2d(2, 3, 3, 1, 1, 1, 1, True, "reflect", rng=RNG(3), dtype=dtype), IMAGES),
    "ConvTranspose2d": (lambda dtype: nn.ConvTranspose2d(2, 3, 3, 2, rng=RNG(3), dtype=dtype), IMAGES),
    "BatchNorm1d": (lambda dtype: nn.BatchNorm1d(4, dtype=dtype), VECTORS),
    "evaluation": (lambda dtype: nn.BatchNorm1d(4, dtype=dtype).eval(), VECTORS),
    "BatchNorm2d": (lambda dtype: nn.BatchNorm2d(2, dtype=dtype), IMAGES),
    "LayerNorm": (lambda dtype: nn.LayerNorm(4, dtype=dtype), VECTORS),
    "RMSNorm": (lambda dtype: nn.RMSNorm(4, 1e-5, dtype=dtype), VECTORS),
    "GroupNorm": (lambda dtype: nn.GroupNorm(2, 2, dtype=dtype), IMAGES),
    "PReLU": (lambda dtype: nn.PReLU(4, dtype=dtype), VECTORS),
    "MaxPool2d": (lambda dtype: nn.MaxPool2d(3, 2, 1), IMAGES),
    "AvgPool2d": (lambda dtype: nn.AvgPool2d(3, 2, 1), IMAGES),
    "parts of windows": (lambda dtype: nn.AvgPool2d(3, 2, 1, True, False), IMAGES),
    "AdaptiveAvgPool2d": (lambda dtype: nn.AdaptiveAvgPool2d((2, 5)), IMAGES),
    "Dropout": (lambda dtype: nn.Dropout(0.5, RNG(1)), VECTORS),
    "Softplus": (lambda dtype: nn.Softplus(20), VECTORS),
    **{
        name: (lambda dtype, name=name: getattr(nn, name)(), VECTORS)
        for name in ("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softmax", "LogSoftmax")
    },
}
INPUTS = {
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "large float16": lambda x: (x * 100).astype(np.float16),
    "big-endian": lambda x: x.astype(">f4"),
    "every second": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "read-only": lambda x: np.broadcast_to(x[:1], x.shape),
    "uint8": lambda x: (x * 100).astype(np.uint8),
    "int8": lambda x: (x * 100 - 128).clip(-128, 127).astype(np.int8),
    "int64": lambda x: (x * 4).astype(np.int64),
    "bool": lambda x: x > 1,
}


def run(layer, x):
    """The output and all gradients of a weighted sum of it."""
    inputs = Tensor(x) if x.dtype.kind == "f" else x
    out = layer(inputs)
    results = [np.asarray(getattr(out, "data", out))]
    if isinstance(out, Tensor):
        out.backward(RNG(1).normal(size=out.shape))
        results += [p.grad for p in (inputs, *layer.parameters()) if isinstance(p, Tensor)]
    return results


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_dtype_changes_nothing_but_the_rounding(name, kind):
    make, shape = LAYERS[name]
    x = INPUTS[kind](RNG(5).integers(0, 9, shape) * 0.25)
    narrow = np.float16 if "float16" in kind else np.float64
    layer, exact = make(narrow), make(np.float64)
    for ours, other in zip(layer.parameters(), exact.parameters(), strict=True):
        other.assign(ours.data)
    found, wanted = run(layer, x), run(exact, x.astype(np.float64))
    if len(wanted) > len(found) or x.dtype.kind != "f":  # plain numbers have no gradient
        wanted = [wanted[0], *wanted[2:]]
    for a, b in zip(found, wanted, strict=False):
        assert a.dtype.kind == "f" and a.shape == b.shape
        scale = np.abs(b).max(initial=1e-3)
        narrowest = min(a.dtype.itemsize, found[0].dtype.itemsize, x.dtype.itemsize if x.dtype.kind == "f" else 8)
        rounding = {2: 4e-3, 4: 2e-5, 8: 1e-9}[narrowest]
        np.testing.assert_allclose(a / scale, b / scale, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "PReLU", "BatchNorm1d", "LayerNorm"])
def test_many_rows_lose_no_count(name):
    make, shape = LAYERS[name]
    layer = make(np.float16)
    out = layer(np.ones((3_000 if name == "Conv2d" else 70_000, *shape[1:]), np.float16))
    out.backward(np.full(out.shape, 0.5))
    bias = getattr(layer, "bias", None)
    if bias is not None:
        assert (bias.grad == np.float16(out.size // bias.size * 0.5)).all()


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("BatchNorm1d", "BatchNorm2d")])
def test_empty_and_single_batches(name, n):
    make, shape = LAYERS[name]
    results = run(make(np.float64), np.ones((n, *shape[1:])))
    assert len(results[0]) == n and not any(np.isnan(result).any() for result in results)
