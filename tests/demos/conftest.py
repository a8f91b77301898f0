"""Fixtures of the demos' tests."""

from functools import cache

import lesson
import pytest
from demo_runs import import_demo, write_mnist

from tinygrad_edu.data import mnist, synthetic_digits

drawn_once = cache(synthetic_digits)


@pytest.fixture(autouse=True)
def nothing_of_the_users(tmp_path, monkeypatch):
    """No data folder, an empty cache, and mirrors that refuse at once."""
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))


@pytest.fixture
def folder(tmp_path):
    """600 training and 200 test images in the four files of MNIST."""
    return write_mnist(tmp_path / "data", *drawn_once(600, seed=3), *drawn_once(200, seed=4))


@pytest.fixture
def demo():
    """demos/mnist.py."""
    return import_demo("mnist")


@pytest.fixture
def more():
    """demos/mnist_more.py."""
    return import_demo("mnist_more")


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are named and made, but not drawn, which takes most of the time of a short run."""

    def save(figure, path):
        path.touch()
        print(f"picture: {path}")

    monkeypatch.setattr(lesson, "save", save)
