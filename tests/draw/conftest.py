"""What tests of drawing share."""

import shutil

import pytest

from tinygrad_edu.draw.picture import engines
from tinygrad_edu.engine import REGISTRY


@pytest.fixture
def registry():
    """The registry, as it was before."""
    before = dict(REGISTRY)
    yield REGISTRY
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture(params=["dot", "pygraphviz"])
def engine(request, monkeypatch):
    """Each engine in turn, where it is installed."""
    if request.param == "dot" and not shutil.which("dot"):
        pytest.skip("the program dot is not installed")
    if request.param == "pygraphviz":
        pytest.importorskip("pygraphviz")
        monkeypatch.setenv("PATH", "")
    assert engines.engine() == request.param
    return request.param
