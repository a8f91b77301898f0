"""demos/gpu.py: without a GPU it says so; its training steps are PyTorch's, here on the stand-in for CuPy's arrays."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from demo_runs import import_demo, run
from elsewhere import ATTEMPTS, PLACE, nothing_is_converted

__all__ = ["nothing_is_converted"]  # a fixture of every test here
gpu = import_demo("gpu")


def test_without_a_gpu_it_says_so(tmp_path):
    done = run("gpu", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("no GPU to work on: ") and not done.stderr


def test_a_driver_that_fails_is_named(monkeypatch):
    cupy = ModuleType("cupy")
    cupy.__version__ = "14.0.0"

    def fails():
        raise RuntimeError("cudaErrorInsufficientDriver")

    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=fails))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert gpu.gpu() == (None, "cupy 14.0.0 finds none that works (RuntimeError: cudaErrorInsufficientDriver)")


@pytest.mark.parametrize("name", ["wide", "transformer"])
def test_steps_agree_with_pytorchs(name, capsys, monkeypatch):
    monkeypatch.setattr(gpu.models, "LAYERS", 1)
    args = (SimpleNamespace(width=16, batch=8),) if name == "wide" else ()
    steps = getattr(gpu, name)(PLACE, *args, device="cpu")
    losses = [[step() for _ in range(3)] for step in steps.values()]
    assert losses[0][0] > 1 and np.isfinite(losses).all()
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], 1e-5)
    gpu.report("a title", steps, 1)
    assert capsys.readouterr().out.startswith("\na title: loss of the first step tinygrad_edu ")
    assert ATTEMPTS == []
