"""F.pad: PyTorch as a reference, derivatives, and what it says to NumPy's forms."""

import numpy as np
import pytest
from finite_differences import check
from hypothesis import given, settings, strategies as st
from torch_steps import check_alike

from tinygrad_edu import functional as F

X = np.arange(12.0).reshape(3, 4)
MODES = ["constant", "reflect", "replicate", "circular"]


@given(data=st.data(), mode=st.sampled_from(MODES))
@settings(max_examples=60)
def test_pytorchs_values_and_gradients(data, mode):
    torch = pytest.importorskip("torch")
    axes = data.draw(st.integers(1, 3))
    shape = data.draw(st.tuples(*[st.integers(3, 4)] * (axes + data.draw(st.integers(1, 2)))))
    widths = data.draw(st.lists(st.integers(-1, 2), min_size=2 * axes, max_size=2 * axes))
    options = {"value": 1.5} if mode == "constant" and data.draw(st.booleans()) else {}
    x = np.random.default_rng(0).normal(size=shape)
    pads = [lambda x, pad=pad: pad(x, widths, mode, **options) for pad in (F.pad, torch.nn.functional.pad)]
    check_alike(*pads, x)


@pytest.mark.parametrize("mode", MODES)
def test_by_hand(mode):
    first = {"constant": 0, "reflect": 1, "replicate": 0, "circular": 2}[mode]
    assert F.pad([[0, 1, 2]], pad=(1, 0), mode=mode)[0].tolist() == [first, 0, 1, 2]
    assert F.pad(input=X, pad=(1, 1), mode=mode).shape == (3, 6)  # np.pad would make (5, 6)
    assert F.pad(X, (0, 1, 1, 1), mode).shape == (5, 5)
    check(lambda x: F.pad(x, (1, 1, -1, 1), mode), X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.pad(X, 1), TypeError, r"pad: pad is 1; it must be \(left, right\).* np.pad\(x, pad_width\)"),
        (lambda: F.pad(X, ((0, 0), (1, 1))), TypeError, r"NumPy's forms are those of np.pad\(x, pad_width\)"),
        (lambda: F.pad(X, (1.0, 1)), TypeError, "pad: pad is 1.0; it must be an integer"),
        (lambda: F.pad(X, (1, 1, 1)), ValueError, "it must have two widths for each axis"),
        (lambda: F.pad(X, (1,) * 6), ValueError, r"for input of shape \(3, 4\), which has not so many axes"),
        (lambda: F.pad(X, (-3, -2)), ValueError, r"pad: pad is \(-3, -2\) for input of shape \(3, 4\)"),
        (lambda: F.pad(X, (1, 1), "edge"), ValueError, "pad: mode is 'edge'; it must be 'constant', 'reflect'"),
        (lambda: F.pad(X, (1, 1), "reflect", 2.0), ValueError, "only a constant border is made of a value"),
        (lambda: F.pad(X, (1, 1), value="a"), ValueError, "pad: value is 'a'"),
        (lambda: F.pad(X, (4, 0), "reflect"), ValueError, r"pad: padding \[\(0, 0\), \(4, 0\)\].*narrower than"),
        (lambda: F.pad(X, (5, 0), "circular"), ValueError, "a circular border must be at most as wide as"),
        (lambda: F.pad(X[:, :0], (0, 1), "replicate"), ValueError, "a replicate border must be around some pixels"),
        (lambda: F.pad(X, pad_width=1), TypeError, "unexpected keyword argument 'pad_width'"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
