"""A playground in the browser: an expression whose numbers can be turned, and a network that learns while one watches.

Type an expression, turn its leaves, and see both passes, worked solutions and the player. Or choose points, layers,
activation, optimizer, learning rate and penalty, and see the region, the curves, the weights and the gradients move.
What is typed is parsed, never run as Python, and nothing is listened to but this machine.
Run it with `python demos/playground.py`; Ctrl-C ends it.
"""

import argparse
import logging
import os
import runpy
import socket
import sys
import threading
import time
from pathlib import Path

import lesson

APP = Path(__file__).parent / "play" / "app.py"
HOST, PORT, NEXT = "127.0.0.1", 2718, 20  # the first port to try, and how many after it
INSTALL = 'pip install -e ".[playground]" brings it, in the folder of README.md'


def free(port):
    """Whether nobody listens at a port of this machine."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def let_finish(threads, seconds=5.0):
    """Waits for what pages still draw: if Python ended in the midst of matplotlib's code, it would abort."""
    last = time.monotonic() + seconds
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, last - time.monotonic()))


def main(argv=None):
    parser = lesson.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    port = lesson.integer(1, 65535)
    parser.add_argument("--port", type=port, help=f"of the page; the first free one from {PORT} on if left out")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    args = parser.parse_args(argv)
    lesson.check_installed(("marimo", "matplotlib"), "the playground", INSTALL)
    port = next(filter(free, [args.port] if args.port else range(PORT, PORT + NEXT)), None)
    if port is None:
        taken = f"port {args.port} is" if args.port else f"the ports from {PORT} to {PORT + NEXT - 1} are"
        parser.error(f"argument --port: {taken} taken by other programs; choose another one")

    print(f"playground: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    os.environ["MARIMO_SKIP_UPDATE_CHECK"] = "1"
    late = "Invalid session id"  # of a page that asks for more after Ctrl-C
    logging.getLogger("uvicorn.error").addFilter(lambda record: late not in str((record.exc_info or [""] * 2)[1]))
    options = ["--host", HOST, "--port", str(port), "--no-sandbox", *(["--headless"] if args.no_browser else [])]
    sys.argv = ["marimo", "--log-level", "ERROR", "--yes", "run", str(APP), *options]  # --yes: Ctrl-C asks nothing
    try:
        runpy.run_module("marimo", run_name="__main__")
    finally:
        let_finish(threading.enumerate())


if __name__ == "__main__":
    lesson.run(main)
