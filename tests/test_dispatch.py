"""The table of NumPy's functions: each runs as ours of its name, and what is in no class refuses."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, ops
from tinygrad_edu.dispatch import DIFFERENTIABLE, VALUES

OTHER_NAMES = {"absolute": "abs", "amax": "max", "amin": "min"}


@pytest.mark.parametrize("function", DIFFERENTIABLE, ids=lambda function: function.__name__)
def test_a_function_runs_as_ours_of_its_name(function):
    name = OTHER_NAMES.get(function.__name__, function.__name__)
    assert DIFFERENTIABLE[function] is getattr(ops, name)


@pytest.mark.parametrize("name", [*ops.__all__, "amax", "amin"])
def test_every_function_of_ours_that_numpy_has_is_in_the_table(name):
    if hasattr(np, name) and name != "linalg":
        assert getattr(np, name) in DIFFERENTIABLE


def test_the_other_names_of_max_and_min():
    x = Tensor([[1.0, 3.0], [2.0, 0.0]])
    assert np.amax(x, axis=0).tolist() == [2.0, 3.0] and np.amin(x, axis=1).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("function", sorted(VALUES, key=lambda function: function.__name__), ids=lambda f: f.__name__)
def test_values_are_those_of_the_plain_data(function):
    x = Tensor([[1.0, np.nan], [2.0, 0.0]])
    operands = (x, 1.0) if getattr(function, "nin", 1) == 2 else (x,)
    found = function(*operands)
    assert not isinstance(found, Tensor)
    np.testing.assert_array_equal(found, function(x.data, *operands[1:]))


@pytest.mark.parametrize("call", [lambda x: np.linalg.inv(x), lambda x: np.sum(x, dtype=int), np.tan, np.fft.fft])
def test_the_rest_refuses_and_says_what_to_do(call):
    with pytest.raises(TypeError, match=r"tensor\.data"):
        call(Tensor(np.eye(2)))
