"""Which exercises of a notebook are right, and their answers.

A test cell begins with `exercise("gates-2")`. In a notebook that exercise is right when its cell has run to its end
without an error, elsewhere when every check since then was right. The answers stand in the metadata of the student's
notebook, in base64, where nobody reads them by accident.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinygrad_edu.notebooks import notebook_shell
from tinygrad_edu.tables import Table

__all__ = ["Score", "answer", "exercise", "note_result", "score"]

KEY = "tinygrad_edu"  # of a notebook's metadata: {"answers": {exercise: base64}}
results: dict[str, bool | None] = {}  # by exercise; None where its test has begun and nothing was checked
running: list[str] = []  # the exercise whose test runs


class Score(Table):
    """How many exercises are right, of how many; in a notebook it shows itself as a table.

    Attributes:
        right, total: The numbers.
        results: For each exercise True (right), False (not right) or None (not checked).
    """

    def __init__(self, results: dict[str, bool | None]) -> None:
        self.results = results
        self.right, self.total = sum(map(bool, results.values())), len(results)
        words = {True: "✓ right", False: "✗ not right yet", None: "○ not checked yet"}
        rows = [[name, words[result]] for name, result in results.items()]
        if rows:
            super().__init__([["exercise", "result"], *rows], [f"{self.right} of {self.total} exercises right"])
        else:
            super().__init__([], ["No exercise has been checked yet: run the cell below your answer, which checks it."])


def exercise(name: str) -> None:
    """Begins the test of an exercise: checks count for it until the cell ends, or another one begins."""
    running[:] = [name]
    results[name] = None
    shell = notebook_shell()
    if shell is not None and end_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", end_cell)


def end_cell(result: Any) -> None:
    """IPython calls it when a cell has run: the exercise is right if nothing was raised."""
    if running:
        results[running.pop()] = bool(result.success)


def note_result(is_right: bool) -> None:
    """Counts a check for the exercise whose test runs; one that is wrong stays wrong."""
    if running:
        results[running[0]] = is_right and results[running[0]] is not False


def score(exercises: Iterable[str] = ()) -> Score:
    """How many exercises are right so far: of those given, or else of those whose tests have run."""
    names = list(exercises) or list(results)
    return Score({name: results.get(name) for name in names})


def answer(name: str) -> None:
    """Prints the solution of an exercise, for whoever has tried: answer("gates-2").

    It is in the metadata of the student's notebook, which is looked for in the folder where the notebook runs.

    Raises:
        LookupError: No notebook here has it.
    """
    known: list[str] = []
    for notebook in notebooks():
        answers = notebook.get("metadata", {}).get(KEY, {}).get("answers", {})
        if name in answers:
            print(base64.b64decode(answers[name]).decode("utf-8"))
            return
        known += answers
    where = f"there are answers to {', '.join(known)}" if known else "no notebook here has answers in it"
    why = "those of demos/notebooks/student have, and those of demos/notebooks show their solutions"
    raise LookupError(f"no answer to {name!r} in {Path.cwd()}: {where}" + ("" if known else f"; {why}"))


def notebooks() -> Iterator[dict[str, Any]]:
    """The running notebook, if its file or Colab tells, then those in the working folder."""
    if (colab := sys.modules.get("google.colab")) is not None:
        from importlib import import_module

        with suppress(Exception):  # of an interface that is Colab's own
            reply = import_module(f"{colab.__name__}._message").blocking_request("get_ipynb", timeout_sec=10)
            yield reply["ipynb"]
    for path in notebook_paths():
        with suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                yield found


def notebook_paths() -> Sequence[Path]:
    """The file of the running notebook where VS Code or Jupyter names it, then all in the working folder."""
    shell = notebook_shell()
    named = [getattr(shell, "user_ns", {}).get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")]
    return [*[Path(name) for name in named if name], *sorted(Path.cwd().glob("*.ipynb"))]
