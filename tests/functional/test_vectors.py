"""one_hot, normalize and cosine_similarity against PyTorch; test_composed.py walks over the last two."""

import numpy as np
import pytest
from domains.losses import VECTORS
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, functional


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("options", [{}, {"num_classes": 4}, {"num_classes": 7}])
def test_one_hot_is_pytorchs(shape, options):
    torch = pytest.importorskip("torch")
    labels = np.asarray(np.random.default_rng(0).integers(0, 4, shape))
    expected = torch.nn.functional.one_hot(torch.tensor(labels), **options).numpy()
    np.testing.assert_array_equal(functional.one_hot(labels, **options), expected, strict=True)


def test_one_hot_of_lists_and_bytes():
    np.testing.assert_array_equal(functional.one_hot([2, 0]), [[0, 0, 1], [1, 0, 0]])
    assert functional.one_hot(np.array([255], np.uint8)).shape == (1, 256)
    assert functional.one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3)


@pytest.mark.parametrize("name", VECTORS)
@given(data=st.data())
@settings(max_examples=10)
def test_values_and_gradients_are_pytorchs(name, data):
    torch = pytest.importorskip("torch")
    xs, options = data.draw(VECTORS[name])
    if name == "cosine_similarity":
        options["eps"] = 1e-8  # of shorter vectors PyTorch's gradient is not the derivative of its value
    ours, theirs = [Tensor(x) for x in xs], [torch.tensor(x, requires_grad=True) for x in xs]
    out = getattr(functional, name)(*ours, **options)
    expected = getattr(torch.nn.functional, name)(*theirs, **options)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-11, atol=1e-14)
    out.sum().backward(), expected.sum().backward()
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad, y.grad.numpy(), rtol=1e-8, atol=1e-12)


def test_a_vector_of_zeros_and_one_of_float16():
    x = Tensor(np.zeros((1, 3)))
    out = functional.normalize(x)
    out.sum().backward()
    assert not out.data.any() and np.isfinite(x.grad).all()
    for size in (1e-4, 300.0):
        small = Tensor(np.full((1, 4), size), dtype=np.float16)
        np.testing.assert_allclose(functional.normalize(small).data, 0.5, rtol=1e-3)
        similarity = functional.cosine_similarity(small, small)
        assert similarity.dtype == functional.normalize(small).dtype == np.float16
        np.testing.assert_allclose(similarity.data, 1, rtol=1e-3)


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: functional.one_hot([0, 3], 3), ValueError, "one_hot: labels run from 0 to 3, but with 3 classes"),
        (lambda: functional.one_hot([-1]), ValueError, "labels run from -1 to -1"),
        (lambda: functional.one_hot([]), TypeError, "labels must be integers, got float64"),
        (lambda: functional.one_hot(np.zeros(0, int)), ValueError, "there is no largest; give num_classes"),
        (lambda: functional.one_hot([0.0]), TypeError, "labels must be integers, got float64"),
        (lambda: functional.one_hot(Tensor([0])), TypeError, "a plain array of integers, not a Tensor"),
        (lambda: functional.one_hot([0], 2.0), TypeError, "num_classes is 2.0; it must be an integer"),
        (lambda: functional.normalize(ONES, eps=0), ValueError, "normalize: eps is 0"),
        (lambda: functional.normalize(ONES, "fro"), ValueError, "normalize: p is 'fro'"),
        (lambda: functional.normalize(ONES, dim=None), TypeError, "normalize: dim is None"),
        (
            lambda: functional.cosine_similarity(ONES, np.ones((2, 2))),
            ValueError,
            r"cosine_similarity: x1 of shape \(2, 3\) and x2 of shape \(2, 2\)",
        ),
        (lambda: functional.cosine_similarity(ONES, ONES, 5), (ValueError, IndexError), "cosine_similarity: dim is 5"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
