"""A small stand-in for MNIST, and a mirror on this computer that serves it well or badly."""

import gzip
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from tinygrad_edu.data import mnist

NAMES = tuple(mnist.FILES)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def make_arrays(seed=0):
    rng = np.random.default_rng(seed)
    arrays = []
    for n in (20, 10):
        arrays.append(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        arrays.append((np.arange(n) % 10).astype(np.uint8))
    return arrays


ARRAYS = make_arrays()
PLAIN = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
ZIPPED = {name: gzip.compress(content, mtime=0) for name, content in PLAIN.items()}


def assert_loaded(result, arrays=ARRAYS):
    for array, expected in zip(result, arrays, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8 and array.flags.writeable


def write(folder, arrays=ARRAYS, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, arrays, strict=True):
        (folder / (name + suffix)).write_bytes(gzip.compress(idx(array)) if suffix else idx(array))


def send(request, content, length=None):
    request.send_response(200)
    if length is not None:
        request.send_header("Content-Length", str(length))
    request.end_headers()
    request.wfile.write(content)


def good(request, name):
    send(request, ZIPPED[name], len(ZIPPED[name]))


def no_length(request, name):
    send(request, ZIPPED[name])


def strange_length(request, name):
    send(request, ZIPPED[name], "many")


def unpacked(request, name):
    send(request, PLAIN[name], len(PLAIN[name]))


def redirecting(request, name):
    if request.path.endswith("?again"):
        return good(request, name)
    request.send_response(302)
    request.send_header("Location", f"{request.path}?again")
    request.end_headers()


def redirecting_for_ever(request, name):
    request.send_response(302)
    request.send_header("Location", f"{request.path}x")
    request.end_headers()


def slow_but_steady(request, name):
    for part in range(0, len(ZIPPED[name]), 4000):
        if part == 0:
            send(request, b"")
        request.wfile.write(ZIPPED[name][part : part + 4000])
        time.sleep(0.01)


def corrupt(request, name):
    changed = bytearray(ZIPPED[name])
    changed[len(changed) // 2] ^= 1
    send(request, changed, len(changed))


def other_file(request, name):
    content = gzip.compress(PLAIN[name][:-1] + b"x")
    send(request, content, len(content))


def truncated(request, name):
    send(request, ZIPPED[name][:-9], len(ZIPPED[name]))


def truncated_without_length(request, name):
    send(request, ZIPPED[name][:-9])


def empty(request, name):
    send(request, b"", 0)


def login_page(request, name):
    send(request, b"<html>Please log in</html>", 26)


def not_found(request, name):
    request.send_error(404)


def server_error(request, name):
    request.send_error(500)


def hanging_up(request, name):
    request.connection.close()


def not_http(request, name):
    request.wfile.write(b"\0\1\2\3" * 10)


def silent(request, name):
    request.server.released.wait(30)


def stalling(request, name):
    send(request, ZIPPED[name][:100], len(ZIPPED[name]))
    request.server.released.wait(30)


def trickling(request, name):
    send(request, b"", len(ZIPPED[name]))
    while not request.server.released.wait(0.02):
        request.wfile.write(b"x")


def endless(request, name):
    send(request, b"")
    while not request.server.released.is_set():
        request.wfile.write(bytes(2**16))


def bomb(request, name):
    content = gzip.compress(PLAIN[name] + bytes(5 * 10**6))
    send(request, content, len(content))


GOOD = [good, no_length, strange_length, unpacked, redirecting, slow_but_steady]
BAD = [
    corrupt,
    other_file,
    truncated,
    truncated_without_length,
    empty,
    login_page,
    not_found,
    server_error,
    redirecting_for_ever,
    hanging_up,
    not_http,
    silent,
    stalling,
    trickling,
    endless,
    bomb,
]


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, address):
        pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/").partition(".gz")[0]
        self.server.requests.append(name)
        self.server.answer(self, name)

    def log_message(self, *arguments):
        pass
