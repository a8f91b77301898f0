"""What tests of files share."""

import os
import signal

import pytest


@pytest.fixture
def pipe(tmp_path):
    """Makes a pipe of a path; who opens it to read or write fails instead of waiting for ever."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("pipes of POSIX")
    before = signal.signal(signal.SIGALRM, lambda *args: pytest.fail("it waits for ever"))
    signal.alarm(10)
    yield os.mkfifo
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
