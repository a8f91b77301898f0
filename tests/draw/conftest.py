"""What tests of drawing share."""

import pytest

from tinygrad_edu.engine import REGISTRY


@pytest.fixture
def registry():
    """The registry, as it was before."""
    before = dict(REGISTRY)
    yield REGISTRY
    REGISTRY.clear()
    REGISTRY.update(before)
