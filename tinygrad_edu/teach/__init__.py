"""Exercises that check themselves: whether an answer is right, and if not, what went wrong.

    check(my_answer, 8.0, hint="a product scales")     # "✓ right", or NotRight: "4: half the right one. Hint: ..."
    check_gradients(loss)                              # a table: yours, the right ones, verdicts
    score()                                            # at the end: how many exercises are right
    answer("gates-2")                                  # the solution, for whoever has tried

NotRight is an AssertionError, so that nbgrader and pytest count it. `comparing.py` finds what differs, by the verdicts
that `loss.graph(gradients="grad")` draws; `checking.py` says it, and `exercises.py` counts.
"""

from __future__ import annotations

from tinygrad_edu.teach.checking import NotRight, check, check_gradients
from tinygrad_edu.teach.exercises import Score, answer, exercise, score
from tinygrad_edu.torch_names import answer_names

__all__ = ["NotRight", "Score", "answer", "check", "check_gradients", "exercise", "score"]

answer_names(__name__)
