"""Builds the notebooks from their sources: for each NN_name.py the teacher's NN_name.ipynb and student/NN_name.ipynb.

A source is a notebook as text, in jupytext's percent format. The teacher's version is executed and keeps its outputs;
it is also what nbgrader takes as the instructor's version. In the student's version solutions are stubs, hidden tests
are gone, and the answers stand in the metadata, where `tinygrad_edu.teach.answer` finds them.
Run it with `python demos/notebooks/build.py`: ten minutes for all; names build some of them. `--check` builds nothing
and says which of the notebooks are not those of today's sources.
"""

import argparse
import base64
import io
import math
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from queue import Empty

try:
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
except ModuleNotFoundError as error:
    sys.exit(f'error: this needs {error.name}, which is not installed; pip install -e ".[demos,notebooks]" brings it')

from tinygrad_edu.files import write_atomically

HERE = Path(__file__).resolve().parent
ROOT, STUDENT = HERE.parent.parent, HERE / "student"
ADDRESS = "git+https://github.com/tinygrad-edu/tinygrad_edu"  # where Colab installs from
INSTALL = f"""\
try:
    import tinygrad_edu
except ModuleNotFoundError:  # as in Colab
    %pip install -q "tinygrad-edu[demos] @ {ADDRESS}"
    import tinygrad_edu"""
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # nbgrader's
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
HELP = """

Under each exercise stands a cell that checks your answer. If you have tried and are stuck, run
`tinygrad_edu.teach.answer("{}")` in a cell of your own: it prints a solution."""
EXERCISES = range(3, 6)  # in a notebook
LARGEST = 400_000  # bytes of a notebook
COLOURS = 32  # of a picture in pixels
PIXELS = 2, 1.5, 1  # of a plot for each of the page, the first with which the notebook is small enough
NEEDLESS = ("application/pdf", "image/svg+xml")  # kinds of a picture that the HTML beside them holds, or nobody shows
ADDRESSES = re.compile(r"\b0x[0-9a-f]{6,}")
PLOT = re.compile(r"data:image/png;base64,([\w+/=]+)")
WIDGET = "application/vnd.jupyter.widget-view+json"


def names():
    """The notebooks in teaching order, as 01_backprop_by_hand."""
    return sorted(path.stem for path in HERE.glob("[0-9][0-9]_*.py"))


def read_source(name):
    """The notebook of a source, as the teacher gets it, not yet executed."""
    notebook = jupytext.reads((HERE / f"{name}.py").read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    found = problems(name, notebook)
    if found:
        sys.exit("\n".join(f"error: {name}.py: {problem}" for problem in found))
    ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if is_marked(cell, "solution")]
    notebook.cells[1].source = INSTALL
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02}"
        if is_marked(cell, "grade"):
            cell.source = f'tinygrad_edu.teach.exercise("{exercise_of(cell)}")\n{cell.source}'
        elif cell.source == "score()":
            cell.source = f"score({ids})".replace("'", '"')
        if "solution" in cell.metadata.get("tags", ()):
            cell.metadata.jupyter = {"source_hidden": True}
    nbformat.validate(notebook)
    return notebook


def is_marked(cell, mark):
    """Whether nbgrader's metadata mark a cell as "solution" or "grade"."""
    return bool(cell.metadata.get("nbgrader", {}).get(mark))


def exercise_of(cell):
    """The exercise that a test cell belongs to."""
    return cell.metadata.nbgrader.grade_id.removesuffix("-test")


def problems(name, notebook):
    """What a source lacks, in words."""
    cells, found = notebook.cells, []
    title = f"# {int(name[:2])}. "
    if cells[0].cell_type != "markdown" or not cells[0].source.startswith(title):
        found.append(f"the first cell is not markdown that begins with {title!r}")
    if not cells[1].source.startswith("try:\n    import tinygrad_edu\n"):
        found.append("the second cell is not the one that installs the library")
    if cells[-1].source != "score()":
        found.append("the last cell is not score()")
    solutions = [i for i, cell in enumerate(cells) if is_marked(cell, "solution")]
    if len(solutions) not in EXERCISES:
        found.append(f"{len(solutions)} exercises; there should be {EXERCISES.start} to {EXERCISES.stop - 1}")
    for number, i in enumerate(solutions, 1):
        answer, test = cells[i].metadata.nbgrader.grade_id, cells[min(i + 1, len(cells) - 1)]
        if not answer.endswith(f"-{number}"):
            found.append(f"exercise {number} has the grade_id {answer!r}; it should end with -{number}")
        before = cells[solutions[number - 2] if number > 1 else 0 : i]
        if not any(cell.source.startswith(f"**Exercise {number}.** ") for cell in before):
            found.append(f"before {answer} there is no markdown cell that begins with **Exercise {number}.**")
        if [cells[i].source.count(f"### {end} SOLUTION") for end in ("BEGIN", "END")] != [1, 1]:
            found.append(f"{answer} does not have one ### BEGIN SOLUTION and one ### END SOLUTION")
        if not is_marked(test, "grade") or test.metadata.nbgrader.grade_id != f"{answer}-test":
            found.append(f"after {answer} comes no test cell with the grade_id {answer}-test")
    return found


def without(source, mark, stub=""):
    """A cell's source without what stands between ### BEGIN mark and ### END mark; in its place a stub, indented."""
    lines, inside = [], False
    for line in source.splitlines():
        if f"### BEGIN {mark}" in line:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + part for part in stub.splitlines()]
        elif f"### END {mark}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines).rstrip()


def student_version(teacher):
    """A copy with stubs for solutions, without hidden tests and outputs, its answers in the metadata."""
    notebook, answers = nbformat.from_dict({**teacher, "cells": []}), {}
    for cell in nbformat.from_dict(teacher).cells:
        if "solution" in cell.metadata.get("tags", ()):
            continue
        if is_marked(cell, "solution"):
            lines = [line for line in cell.source.splitlines() if not line.lstrip().startswith("### ")]
            answers[cell.metadata.nbgrader.grade_id] = base64.b64encode("\n".join(lines).encode()).decode()
            cell.source = without(cell.source, "SOLUTION", STUB)
        cell.source = without(cell.source, "HIDDEN TESTS")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        notebook.cells.append(cell)
    notebook.cells[0].source += HELP.format(next(iter(answers)))
    notebook.metadata = nbformat.from_dict({**METADATA, "tinygrad_edu": {"answers": answers}})
    return notebook


class Client(NotebookClient):
    """Looks for messages every second: a widget that sends while one arrives can leave it unseen, and all waits."""

    async def async_start_new_kernel_client(self, **options):
        client = await super().async_start_new_kernel_client(**options)
        for channel in (client.shell_channel, client.iopub_channel):
            channel.get_msg = partial(look_again, channel.get_msg)
        return client


async def look_again(get_msg, timeout=None):
    """A channel's next message; Empty if none comes in time."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return await get_msg(timeout=1)
        except Empty:
            if time.monotonic() > end:
                raise


def execute(notebook, quick=False):
    """Runs all cells in a new kernel, which imports the library of this folder, and cleans what they show."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    env |= {"TINYGRAD_EDU_QUICK": "1" if quick else ""}
    resources = {"metadata": {"path": str(HERE)}}
    client = Client(
        notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True, resources=resources
    )
    client.execute(env=env)
    widgets = notebook.metadata.pop("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [[part for output in cell.outputs for part in without_widgets(output, widgets)] for cell in cells]
    for pixels in PIXELS:
        for cell, outputs in zip(cells, shown, strict=True):
            cell.outputs = [clean(nbformat.from_dict(output), pixels) for output in outputs]
        if size_of(notebook) <= LARGEST:
            break
    return notebook


def size_of(notebook):
    """The bytes of a notebook's file."""
    return len(nbformat.writes(notebook, version=4).encode()) + 1


def without_widgets(output, widgets):
    """What a widget shows without a kernel: in words where its sliders stand, and what was drawn for that."""
    if WIDGET not in output.get("data", {}):
        return [output]
    controls, drawn, waiting = [], [], [output["data"][WIDGET]["model_id"]]
    while waiting:
        state = widgets.get(waiting.pop(0).removeprefix("IPY_MODEL_"), {}).get("state", {})
        waiting += state.get("children", [])
        drawn += state.get("outputs", [])
        if state.get("description") and "value" in state and "outputs" not in state:
            controls.append(f"{state['description']} = {control_text(state)}")
    if not drawn:
        return []  # a progress bar
    text = f"{', '.join(controls)}  (run the cell to turn {'it' if len(controls) == 1 else 'them'})"
    return [nbformat.v4.new_output("display_data", {"text/plain": text}), *drawn]


def control_text(state):
    """Where a slider stands, or what is chosen in a list."""
    value = state["value"]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def clean(output, pixels=PIXELS[0]):
    """An output without what differs from machine to machine, or is there twice; plots have so many pixels."""
    data = output.get("data", {})
    for kind in NEEDLESS:
        if kind != "image/svg+xml" or "text/html" in data:
            data.pop(kind, None)
    if "image/png" in data:
        png, page = data["image/png"], data.get("text/html", "")
        if found := PLOT.search(page):
            png = found[1]  # the other one may be matplotlib's, with one pixel for each of the page
            picture = few_colours(narrow(open_picture(png), round(pixels * output.metadata["image/png"]["width"])))
            webp = encode(picture.convert("RGB"), "WEBP", lossless=True, method=6)
            data["text/html"] = page.replace(found[0], f"data:image/webp;base64,{webp}")
        data["image/png"] = shrink(png, output.metadata.get("image/png", {}).get("width") if page else None)
    if output.output_type == "error":
        output.traceback = [line.replace(f"{ROOT}{os.sep}", "") for line in output.traceback]
    return output


def shrink(png, width=None):
    """A PNG in base64 with few colours, of so many pixels; as it was if that is not smaller.

    Beside HTML it is for GitHub alone, and one pixel for each of the page is enough.
    """
    picture = open_picture(png)
    return min(png, encode(few_colours(narrow(picture, width)), "PNG", optimize=True), key=len)


def open_picture(png):
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")


def narrow(picture, width):
    """A picture that is no wider than this, if a width is given."""
    from PIL import Image

    if not width or width >= picture.width:
        return picture
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.BOX)


def few_colours(picture):
    from PIL import Image

    return picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def encode(picture, kind, **options):
    """A picture's file in base64."""
    picture.save(file := io.BytesIO(), kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def complaints(notebook):
    """What should not be in the outputs of a notebook, in words."""
    found = []
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            parts = {key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")}
            text = str([*parts.values(), output.get("text", ""), output.get("traceback", "")])
            if output.get("name") == "stderr":
                found.append(f"cell {i} writes to stderr: {output.text[:200]}")
            for what, place in (("a memory address", ADDRESSES.search(text)), ("a path", str(ROOT) in text)):
                if place:
                    found.append(f"cell {i} shows {what}, which differs from machine to machine")
    return found


def write(notebook, path):
    """Writes a notebook, if it is not too large."""
    size = size_of(notebook)
    if size > LARGEST:
        sys.exit(f"error: {path.name} has {size:,} bytes, and {LARGEST:,} are allowed: show smaller pictures")
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, (nbformat.writes(notebook, version=4) + "\n").encode())
    print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB", flush=True)


def build(name, quick=False):
    """The executed teacher's version, or the end of the program with the cell that failed."""
    teacher = read_source(name)
    try:
        execute(teacher, quick)
    except CellExecutionError as error:
        sys.exit(f"error: {name}.py fails\n{error}")
    if found := complaints(teacher):
        sys.exit("\n".join(f"error: {name}.py: {problem}" for problem in found))
    return teacher


def cells_of(path):
    """The cells of a notebook's file without outputs, and its metadata; None if there is no such file."""
    if not path.exists():
        return None
    notebook = nbformat.read(path, as_version=4)
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells], notebook.metadata


def stale(name):
    """The files that are not those of today's source."""
    teacher = read_source(name)
    built = {HERE / f"{name}.ipynb": teacher, STUDENT / f"{name}.ipynb": student_version(teacher)}
    return [
        path
        for path, notebook in built.items()
        if cells_of(path) != ([(c.id, c.cell_type, c.source, c.metadata) for c in notebook.cells], notebook.metadata)
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*names(), []], metavar="NAME", help=f"of {', '.join(names())}")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="build nothing, say what is not up to date")
    what.add_argument("--student-only", action="store_true", help="execute nothing, build the student's versions")
    args = parser.parse_args(argv)
    chosen = args.names or names()
    if args.check:
        if old := [str(path.relative_to(ROOT)) for name in chosen for path in stale(name)]:
            sys.exit(
                f"error: not those of today's sources: {', '.join(old)}; python demos/notebooks/build.py builds them"
            )
        return
    for name in chosen:
        if not args.student_only:
            write(build(name), HERE / f"{name}.ipynb")
        write(student_version(read_source(name)), STUDENT / f"{name}.ipynb")


if __name__ == "__main__":
    main()
