"""Ways to run a demo: imported, as a program, and as a program that gets Ctrl-C."""

import contextlib
import importlib.util
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu.data import mnist

DEMOS = Path(__file__).parents[1] / "demos"
REAL = os.environ.get("TINYGRAD_EDU_DATA")


def import_demo(name):
    """The demo as a module; its main(argv) runs it."""
    spec = importlib.util.spec_from_file_location(f"{name}_demo", DEMOS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refused(demo, capsys, *argv):
    """The message of a run that ends before any training."""
    with pytest.raises(SystemExit) as caught:
        demo.main([str(word) for word in argv])
    assert caught.value.code not in (0, None)
    out, err = capsys.readouterr()
    assert "epoch  train loss" not in out
    return caught.value.code if isinstance(caught.value.code, str) else err


def write_mnist(path, *arrays):
    """A folder with the arrays in the four files of MNIST."""
    path.mkdir()
    for name, array in zip(mnist.FILES, arrays, strict=True):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (path / name).write_bytes(header + array.tobytes())
    return path


def run(name, *options, cwd, **environment):
    """Runs a demo as a user does; returns the completed process."""
    command = [sys.executable, DEMOS / f"{name}.py", *map(str, options)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def interrupt(name, *options, after):
    """Runs a demo and sends Ctrl-C when it has printed so many lines; returns exit code, stdout and stderr."""
    # A shell may have told its children to ignore the signal; a terminal does not.
    path = str(DEMOS / f"{name}.py")
    code = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.path.insert(0, {str(DEMOS)!r});"
        f"sys.argv = [{path!r}, *sys.argv[1:]]; runpy.run_path({path!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", code, *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            lines = [process.stdout.readline() for _ in range(after)]
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return process.returncode, "".join(lines) + out, err
