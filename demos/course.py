"""Runs all lessons in teaching order and writes the course: demos/README.md, with a sentence and a picture of each.

Run it with `python demos/course.py`: it takes some ten minutes, and says which lesson it is at. `--only` runs some of
them, `--text` none, and writes the page with the pictures that are there.
"""

import argparse
import ast
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from PIL import Image
except ImportError:
    sys.exit('error: this demo needs Pillow, which is not installed; pip install -e ".[demos]" brings it')

import lesson

from tinygrad_edu.files import write_atomically

HERE = Path(__file__).parent
GALLERY, PAGE = HERE / "gallery", HERE / "README.md"
LESSONS = {  # name, and which of its pictures stands for it
    "neuron": "neuron_line.png",
    "gates": "gates_branches.svg",
    "engine": "engine_visits.png",
    "activations": "activations_saturating.png",
    "losses": "losses_classifier.png",
    "gradcheck": "gradcheck.png",
    "learning_rate": "learning_rate_valley.png",
    "newton": "newton_valley.png",
    "xor": "xor.png",
    "linear_collapse": "linear_collapse.png",
    "moons": "moons.png",
    "universal_approximation": "universal_approximation_trained.png",
    "mnist": "mnist_predictions.png",
    "batch_size": "batch_size.png",
    "optimizers": "optimizers_ravine.png",
    "initialization": "initialization_activations.png",
    "vanishing_gradients": "vanishing_gradients.png",
    "dead_relu": "dead_relu.png",
    "batch_norm": "batch_norm.png",
    "regularization": "regularization.png",
    "hyperparameters": "hyperparameters.png",
    "shift": "shift_digit.png",
    "names": "names_embedding.png",
    "rnn": "rnn.png",
    "attention": "attention_heads.png",
    "gpt": "gpt_attention.png",
    "replay": "replay.png",
    "autoencoder": "autoencoder_sheet.png",
}
COMMANDS = {"mnist": ["mnist_more.py", "--plots"]}  # of the lessons whose picture another program draws
WIDTH, COLOURS = 900, 128  # of the pictures on the page
HEAD = """\
# The course

One program a lesson, in teaching order. Each prints the numbers that make its point, saves pictures into `demos/out/`,
and has options to play with: `python demos/NAME.py --help`. `pip install -e ".[demos]"` brings what they need. Lessons
with digits read MNIST, which they download if they can, and draw digits of their own if not. `python demos/course.py`
runs them all and makes this page.
"""
TAIL = """
## Beside the lessons

- [notebooks](notebooks) are nine classes as executed notebooks, [student](notebooks/student) the same with exercises to
  fill in; `python demos/notebooks/build.py` makes both from the sources beside them, and nbgrader takes the first as
  they are: as the instructor's versions. `pip install -e ".[demos,notebooks]"` brings what they need.
- [COMING_FROM.md](COMING_FROM.md): from micrograd, from PyTorch: what you wrote there, what you write here.
- [draw.py](draw.py) makes the [gallery](gallery): computational graphs, a page that plays backpropagation, and films of
  trainings, of [two moons](gallery/moons.html) and of [digits](gallery/digits.html).
- [reference.py](reference.py) builds the reference, a page for each module, from the docstrings.
- [numpy_table.py](numpy_table.py) prints what a function of NumPy's does with a Tensor, and the rule of its gradient.
- [mnist_more.py](mnist_more.py) is mnist.py with more options; it saves its runs, draws pictures, and reads yours.
- [cnn.py](cnn.py) trains a convolutional network on the digits, the one of shift.py.
- [data_parallel.py](data_parallel.py): what training on many machines gains, measured on 1 and 2 ranks of MPI and drawn
  to 1,024. `pip install -e ".[mpi]"` brings what it needs; without it example figures are drawn.
- [benchmark.py](benchmark.py) measures the library against PyTorch, micrograd, and NumPy written by hand.
- [gpu.py](gpu.py) runs the tests of all ops on a GPU's arrays, CuPy's, and times training steps there beside PyTorch's.
- [playground.py](playground.py) opens a page on which an expression is typed and turned, and a network watched.
- `neuron.py`, `activations.py` and `learning_rate.py` write a page with sliders: `--html FILE`.
"""


def sentence(name):
    """The first sentence of a lesson's docstring."""
    return ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))).splitlines()[0]


def page():
    """The text of demos/README.md."""
    lessons = [
        f"\n## {i}. [{name}.py]({name}.py)\n\n{sentence(name)}\n\n![picture of {name}.py](gallery/{picture})\n"
        for i, (name, picture) in enumerate(LESSONS.items(), 1)
    ]
    return "".join([HEAD, *lessons, TAIL])


def shrink(source, target):
    """Copies a picture; one of pixels is made as wide as the page, with few colours."""
    if source.suffix == ".svg":
        shutil.copy(source, target)
        return
    picture = Image.open(io.BytesIO(source.read_bytes())).convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    few = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # which keeps hues apart
    few.save(target, optimize=True)


def main(argv=None):
    parser = lesson.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", choices=LESSONS, nargs="+", default=list(LESSONS), help="run these alone")
    what.add_argument("--text", action="store_true", help="run nothing, write the page")
    args = parser.parse_args(argv)
    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        for name in [] if args.text else args.only:
            print(f"\n{name}.py {'-' * (80 - len(name))}", flush=True)
            program, *options = COMMANDS.get(name, [f"{name}.py"])
            if subprocess.run([sys.executable, HERE / program, *options, "--out", out]).returncode:
                sys.exit(f"error: {name}.py failed; what it said stands above")
            picture = Path(out) / LESSONS[name]
            if not picture.exists():
                why = "; graphs need Graphviz or pygraphviz" if picture.suffix == ".svg" else ""
                sys.exit(f"error: {name}.py made no {picture.name}{why}")
            shrink(picture, GALLERY / picture.name)
    write_atomically(PAGE, page().encode("utf-8"))
    print(PAGE)


if __name__ == "__main__":
    lesson.run(main)
