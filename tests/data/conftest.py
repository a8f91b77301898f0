"""Fixtures of the MNIST tests."""

import hashlib
import threading

import pytest
from mnist_mirror import PLAIN, Server

from tinygrad_edu.data import mnist


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Small files stand for the published ones; an empty cache folder, no mirrors, and short time-outs."""
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    digests = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in PLAIN.items()}
    monkeypatch.setattr(mnist, "FILES", digests)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setattr(mnist, "CONNECT_TIMEOUT", 2.0)
    monkeypatch.setattr(mnist, "STALL_TIMEOUT", 0.25)
    return tmp_path / "cache" / "tinygrad_edu" / "mnist"


@pytest.fixture
def serve(monkeypatch):
    """Starts a server for each way of answering, and makes them the mirrors, in this order."""
    running = []

    def start(*answers):
        servers = [Server(answer) for answer in answers]
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            running.append((server, thread))
        monkeypatch.setattr(mnist, "MIRRORS", [f"http://127.0.0.1:{s.server_port}/" for s in servers])
        return servers

    yield start
    for server, thread in running:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
