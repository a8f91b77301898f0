"""Elements by index, and their gradients put back."""

import numpy as np
import pytest

from tinygrad_edu import Tensor

INDICES = [
    [2, 0, 2],
    [[1, 1], [-1, 2]],
    [],
    np.array([-1, -3, 2, 2], np.int8),
    np.array([1, 1], np.uint8),
    np.array(1),
    (np.array([1, 1]),),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("row", [(), (0,), (100,), (9, 40)], ids=str)
def test_a_row_that_is_taken_twice_gets_the_sum_of_its_gradients(index, row):
    """Also where 3 rows have more numbers than the dtype of the index can count."""
    x = Tensor(np.random.default_rng(0).normal(size=(3, *row)))
    taken = x[index]
    g = np.random.default_rng(1).normal(size=taken.shape)
    taken.backward(g)
    expected = np.zeros(x.shape)
    np.add.at(expected, index, g)
    np.testing.assert_array_equal(x.grad, expected)
