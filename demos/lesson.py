"""What the lessons share: what they need, where their pictures go, the digits they read, and how Ctrl-C ends them."""

import importlib
import sys
from pathlib import Path

from tinygrad_edu import data

OUT = Path(__file__).parent / "out"


def needs(*packages):
    """Ends the program, with the command to type, if a package is not installed: better now than after a training."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            sys.exit(f"this demo needs {error.name}, which is not installed; pip install tinygrad-edu[demos] brings it")


def folder(parser, out):
    """Makes the folder for the pictures; the parser says so if there can be none."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out must be a folder: cannot make {out} ({error.strerror})")


def load_digits(*source):
    """What data.load_digits(*source) returns, or the end of the program with its error."""
    try:
        return data.load_digits(*source)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def flat(images):
    """(n, 28, 28) -> (n, 784), standardised."""
    return data.normalize(images).reshape(len(images), -1)


def run(main, note=""):
    """Runs a program that takes a while; after Ctrl-C it ends with one line instead of a traceback."""
    try:
        main()
    except KeyboardInterrupt:
        print(f"interrupted{note}", file=sys.stderr)
        sys.exit(130)
