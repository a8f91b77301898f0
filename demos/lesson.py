"""What the lessons share: their options, the digits they read, and how their pictures are saved.

A lesson imports it before NumPy, because it sets the number of threads of a matrix product.
"""

import argparse
import importlib
import io
import math
import os
import sys
import tempfile
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

INSTALL = 'pip install -e ".[demos]" brings it, in the folder of README.md'


def end(kind, error, traceback):
    """Python's hook for what nothing has caught: Ctrl-C while packages are imported is one line, too."""
    if kind is KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = end

# Matrices this small gain little from a second thread, and lose much where other programs want the processor too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    import graphviz  # noqa: F401, which pictures of graphs need
    import numpy as np

    from tinygrad_edu import data, ranks
    from tinygrad_edu.files import naming, visible, write_atomically
except ModuleNotFoundError as error:
    sys.exit(f"error: this demo needs {error.name}, which is not installed; {INSTALL}")

OUT = Path(__file__).parent / "out"
RANK = ranks.launched()[0]  # among the processes that mpiexec started


class Parser(argparse.ArgumentParser):
    """A parser whose messages do not steer the terminal, and come from rank 0 alone, for all have the same options."""

    def _print_message(self, message, file=None):
        if not RANK:
            super()._print_message(message, file)

    def exit(self, status=0, message=None):
        super().exit(status, message and visible(message))


def parser(text, *, digits=False, page=False, out=True, needs=("matplotlib",)):
    """A parser with the options that lessons have in common; the program ends if it needs what is not installed.

    Args:
        text: What `--help` says: the lesson's docstring.
        digits, page, out: Whether it reads digits, can write a page with sliders, and saves pictures.
        needs: Names of packages.
    """
    check_installed(needs)
    parser = Parser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = parser.add_argument_group("options that lessons share")
    common.add_argument("--seed", type=integer(0, most=2**63), default=0, help="of whatever is random")
    if digits:
        common.add_argument("--dataset", choices=["auto", "mnist", "synthetic"], default="auto", help="of digits")
        common.add_argument("--data-dir", type=Path, help="folder with the four files of MNIST")
    if out:
        common.add_argument("--out", type=folder, default=str(OUT), help="folder for what is saved")
    if page:
        common.add_argument("--html", type=Path, metavar="FILE", help="write a page with sliders")
    return parser


def check_installed(packages, program="this demo", install=INSTALL):
    """Ends the program if one of them is missing: better now than after a training."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            sys.exit(f"error: {program} needs {error.name}, which is not installed; {install}")


def option(kind, fits, words, most=math.inf):
    """The type of an option: int or float, if the value fits; `words` say what was expected otherwise."""

    def read(text):
        expected = words
        with suppress(ValueError, OverflowError):
            value = kind(text)
            if fits(value) and value <= most:
                return value
            if fits(value):
                expected = f"a number up to {most:,}"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r:.60}")

    return read


def integer(low, high=math.inf, most=10**9):
    """The type of an option that is a whole number; where no `high` is told, one above `most` is a slip of the hand."""
    words = f"a whole number of at least {low}" if high == math.inf else f"a whole number from {low} to {high}"
    return option(int, lambda value: low <= value <= high, words, most)


def units(text):
    """The type of an option that is the size of a layer; two layers of more than 10,000 would fill the memory."""
    size = integer(1, most=math.inf)(text)
    if size > 10_000:
        raise MemoryError(f"a layer of {text:.20} units is too large")
    return size


def real(low, high):
    """The type of an option that is a number from low to high."""
    return option(float, lambda value: low <= value <= high, f"a number from {low:g} to {high:g}")


def above(low, most=10**6):
    """The type of an option that is a finite number above another one; for a rate, `most` leads nowhere."""
    return option(float, lambda value: low < value < math.inf, f"a finite number above {low:g}", most)


def folder(text):
    """The type of an option that is a folder to write to, made if missing."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        why = "it is a file" if os.path.isfile(path) else error.strerror
        raise argparse.ArgumentTypeError(f"cannot write to the folder {path!s:.300} ({why})") from error
    return path


def load_digits(args):
    """What `data.load_digits` finds by the options: a name and four arrays, or the end of the program with its error.

    The name is "MNIST" or "synthetic digits"; the arrays are training images (n, 28, 28) and labels (n,), and test
    images and labels.
    """
    try:
        return data.load_digits(args.dataset, args.data_dir)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error} (--data-dir says where they are, and --dataset synthetic needs no files)")


def flat(images):
    """Images (n, 28, 28) as a network takes them: float32 of shape (n, 784), standardised."""
    return data.normalize(images).reshape(-1, 784)


def say_shares(parallel, batch_size):
    """Prints how ranks share batches, if there are several."""
    if parallel.size > 1:
        print(f"{parallel.size} ranks share each batch of {batch_size}")


def save(figure, path):
    """Saves what `plots` has drawn, and prints where; rank 0 alone does."""
    if RANK:
        return
    figure.savefig(file := io.BytesIO(), dpi=150)
    write_atomically(path, file.getvalue())
    print(f"picture: {visible(path)}")


def save_movie(figures, path):
    """Saves what `plots` has drawn as a GIF that runs again and again, and prints where."""
    from PIL import Image  # which only this needs

    frames = []
    for figure in figures:
        figure.savefig(file := io.BytesIO(), dpi=70)
        frames.append(Image.open(file).convert("RGB").quantize(32, dither=Image.Dither.NONE))
    durations = [150] * (len(frames) - 1) + [2000]  # milliseconds
    frames[0].save(file := io.BytesIO(), "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    write_atomically(path, file.getvalue())
    print(f"picture: {visible(path)}")


def save_graph(graph, path):
    """Saves a computational graph as SVG, and prints where; or prints it as a tree if nothing can draw it."""
    from tinygrad_edu.draw import engine  # which takes a while to load, and few lessons need

    if engine() is None:
        print(graph.text())
        print('(no picture: neither Graphviz nor pygraphviz is installed; pip install "tinygrad-edu[render]" helps)')
    else:
        write_atomically(path, graph.pipe("svg"))
        print(f"picture: {visible(path)}")


def run(main, note="", advice="smaller numbers"):
    """Runs a program as run_alone does; under mpiexec rank 0 alone prints, and an error of any rank ends them all."""
    try:
        run_alone(main, note, advice)
    except SystemExit as end:
        if end.code:
            code, text = (1, end.code) if isinstance(end.code, str) else (end.code, "")
            ranks.fail(code, lambda: print(text, end="\n" * bool(text), file=sys.stderr))
        raise


def run_alone(main, note, advice):
    """Runs a program, and ends it with a line instead of a traceback after Ctrl-C, or when one of these fails:

    the reader of its output, memory, a file, a number that is not finite, a value that no option should have.

    Args:
        main: The program.
        note: What is said of Ctrl-C.
        advice: What to try if there is too little memory.
    """
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            closed = stream is None or getattr(stream, "closed", False)  # as in pythonw, or after >&- in a shell
            if closed or (RANK and stream is sys.stdout):
                stack.enter_context(redirect(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        if hasattr(sys.stdout, "reconfigure"):  # Jupyter and IDLE have streams of their own
            sys.stdout.reconfigure(errors="replace")  # where the terminal has no ∂, a question mark does
        stack.enter_context(np.errstate(over="ignore", invalid="ignore", divide="ignore"))  # the loss will tell
        try:
            try:
                if (comm := ranks.world()) is not None:
                    ranks.end_together(comm)
                main()
            finally:
                with naming("the output"):
                    sys.stdout.flush()
        except KeyboardInterrupt:
            if not RANK:
                print(f"interrupted{note}", file=sys.stderr)
            sys.exit(130)
        except MemoryError as error:
            sys.exit(f"error: {str(error) or 'too little memory'}; try {advice}")
        except BrokenPipeError:
            output_fails()
            sys.exit(1)
        except (ArithmeticError, ImportError, OSError, RecursionError, ValueError) as error:
            unnamed = isinstance(error, OSError) and error.errno and error.filename is None  # files are always named
            what = f"cannot write the output ({error})" if output_fails() or unnamed else error
            sys.exit(f"error: {visible(what)}")
        except SystemExit as end:
            if isinstance(end.code, str):
                end.code = visible(end.code)
            raise


def output_fails():
    """Whether standard output takes no more; it is replaced then, for the flush at the end of Python."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
