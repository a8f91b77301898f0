"""Settings of the whole test run."""

import os
from functools import cache

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: the workers are one for each core

import pytest
from hypothesis import HealthCheck, settings

from tinygrad_edu.data import mnist

settings.register_profile(
    "tinygrad_edu",
    deadline=None,
    max_examples=int(os.environ.get("TINYGRAD_EDU_EXAMPLES", 100)),
    database=None,
    print_blob=True,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tinygrad_edu")


@pytest.fixture(autouse=True, scope="session")
def digits_drawn_once():
    """The 24,000 digits in the place of MNIST's, which take three seconds to draw."""
    drawn = cache(mnist.synthetic_digits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "synthetic_digits", lambda n, seed=0: [array.copy() for array in drawn(n, seed)])
        yield
