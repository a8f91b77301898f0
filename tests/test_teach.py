"""Answers that are checked: the usual mistakes, each with what is said of it, and the score."""

import base64
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor, nn, teach
from tinygrad_edu.teach import NotRight, check, check_gradients, exercises

A = np.array([[1.5, -2.0, 0.25], [3.0, 0.5, -1.25]])
HINT = "upstream times the other input"


def stub(x):
    raise NotImplementedError()


def said_of(*args, **options):
    """What check() says of a wrong answer."""
    with pytest.raises(NotRight) as caught:
        check(*args, **options)
    return str(caught.value)


RIGHT = [
    (8, 8),
    (-4.0, -4),
    (0.1 + 0.2, 0.3),
    (np.float32(0.1), 0.1),
    (np.nan, np.nan),
    (A.tolist(), A),
    (Tensor(A), A),
    (A, Tensor(A)),
    ((8.0, Tensor(6.0)), (8.0, 6.0)),
    (np.array([8.0, 6.0]), (8.0, 6.0)),
    ([Tensor(1.0), 2.0], [1.0, 2.0]),
    ({"w": A, "b": (1, "x")}, {"b": (1, "x"), "w": A}),
    ("ReLU", "ReLU"),
    (None, None),
    (np.True_, True),
    ({1, 2}, {2, 1}),
    (1 + 2j, 1 + 2j),
    (np.tanh, lambda x: np.tanh(x)),
]


@pytest.mark.parametrize(("value", "expected"), RIGHT)
def test_what_is_right(value, expected, capsys):
    check(value, expected, HINT)
    assert capsys.readouterr().out == "✓ right\n"


def test_a_right_answer_has_its_name_and_may_be_rounded(capsys):
    check(0.21, 0.2083, name="slope")
    assert capsys.readouterr().out == "✓ slope: right, rounded to 2 digits\n"


WRONG = {
    "sign": (4.0, -4.0, "4: wrong sign"),
    "factor": (12.0, 6.0, "12: twice the right one"),
    "half": (3.0, 6.0, "3: half the right one"),
    "sum for a mean": (
        A.sum(0) * 3,
        A.sum(0),
        "[13.5, −4.5, −3]: 3 times the right one: is the 1/3 of a mean missing?",
    ),
    "mean for a sum": (
        A.sum(0) / 3,
        A.sum(0),
        "[1.5, −0.5, −0.3333]: 1/3 of the right one: is a mean taken where a sum should be?",
    ),
    "transposed": (A.T, A, "[[1.5, 3], [−2, 0.5], [0.25, −1.25]]: transposed: shape [3×2] instead of [2×3]"),
    "broadcasts": (A[:1], A, "[[1.5, −2, 0.25]]: shape [1×3] instead of [2×3]"),
    "broadcast number": (1.0, np.ones(3), "1: right numbers, but shape () instead of [3]"),
    "not summed": (A, A.sum(0), "not summed over axis 0: shape [2×3] instead of [3]"),
    "reciprocal": (1 / A, A, "the reciprocal of the right one"),
    "root": (A**2, np.abs(A), "the square of the right one"),
    "an element": (
        [1.0, 2.0],
        [1.0, 3.0],
        "[1, 2]: wrong in 1 of 2 elements; largest difference at [1]: 2 instead of 3",
    ),
    "NaN": (np.nan, 1.0, "NaN: NaN or ∞"),
    "swapped": ((6.0, 8.0), (8.0, 6.0), "the right values, but two values swapped"),
    "rotated": ((1.0, 2.0, 3.0), (3.0, 1.0, 2.0), "the right values, but in another order"),
    "all signs": ((-8.0, -6.0), (8.0, 6.0), "wrong sign"),
    "one of two": ((8.0, -6.0), (8.0, 6.0), "answer[1] = −6: wrong sign"),
    "too few": ((8.0,), (8.0, 6.0), "1 value instead of 2"),
    "one array": (A, (A, A.T), "one value of type ndarray instead of 2 values"),
    "no tuple": (8.0, (8.0,), "8: one value of type float instead of a tuple of one"),
    "dict swapped": ({"w": 1.0, "b": 2.0}, {"w": 2.0, "b": 1.0}, "the right values, but two values swapped"),
    "NumPy's own numbers": (tuple(-A[0]), tuple(A[0]), "(−1.5, 2, −0.25): wrong sign"),
    "none set": ([1.0, None], [1.0, 2.0], "answer[1] = None: no value; is a return missing, or is it still to be set?"),
    "zero": (0.0, 0.5, "0 is not right"),
    "one number": (8.0, (8.0, 6.0), "8: one value of type float instead of 2 values"),
    "integer": (1_000_001, 1_000_000, "1000001: off by 0.0001%"),
    "key": ({"w": 1.0}, {"w": 1.0, "b": 2.0}, "answer['b']: missing"),
    "extra key": ({"w": 1.0, "v": 2.0}, {"w": 1.0}, "answer['v']: one key too many"),
    "no dict": ([1.0], {"w": 1.0}, "type list instead of dict"),
    "nested": ({"w": [(1, "x")]}, {"w": [(1, "y")]}, "answer['w'][0][1] = 'x' is not right"),
    "spaces": ("relu ", "ReLU", "'relu ': right but for spaces or capitals"),
    "text": ("3", 3, "'3': not numbers, but a str"),
    "no text": (3, "three", "3: type int instead of str"),
    "no return": (None, 3.0, "None: no value; is a return missing, or is it still to be set?"),
    "stub": (..., 3.0, "...: still to be filled in"),
    "not called": (np.tanh, 0.5, "tanh: a function, not its result: call it, with ( ) and its arguments"),
    "no function": (0.5, np.tanh, "0.5: type float instead of a function"),
    "function": (lambda x: x, lambda x: 2 * x, "at x = 0.3 it is 0.3 instead of 0.6: half the right one"),
    "function off": (lambda x: x + 1, lambda x: 2 * x, "at x = 0.3 it is 1.3 instead of 0.6"),
    "arguments": (lambda x, y: y - 2 * x, lambda x, y: x - 2 * y, "right with its two arguments swapped"),
    "stub of a function": (stub, lambda x: x, "stub: still to be filled in"),
    "raises": (lambda x: x / 0, lambda x: x, "at x = 0.3 it raises ZeroDivisionError: float division by zero"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_gets_its_hint(mistake):
    value, expected, said = WRONG[mistake]
    assert said in said_of(value, expected)
    assert said_of(value, expected, HINT).endswith(f". Hint: {HINT}") or "? Hint: " in said_of(value, expected, HINT)


def test_a_forgotten_term():
    assert said_of(5.0, 4.0, terms=(5.0, 2.0, -3.0)) == "5: only 1 of 3 terms"
    assert said_of(2 * A, 3 * A, terms=[A, A, A]).endswith("only 2 of 3 terms")


def test_functions_of_arrays_are_compared_where_they_are_told(capsys):
    check(lambda x: x.sum(axis=0), lambda x: np.sum(x, 0), at=[A, 2 * A])
    assert (
        said_of(lambda x, n: n * x, lambda x, n: x**n, at=[(2.0, 3), (1.0, 2)])
        == "at x = 2, n = 3 it is 6 instead of 8"
    )
    pair = lambda x, n: (x.T, x[0] * n)
    for own, said in [
        (lambda x, n: (x, n * x[0]), "at x [2×3], n = 2 result[0] is [[1.5, −2, 0.25], [3, 0.5, −1.25]]: transposed: "),
        (lambda x, n: (x.T, n), "at x [2×3], n = 2 result[1] is 2: shape () instead of [3]"),
        (lambda x, n: None, "at x [2×3], n = 2 it is None: no value; is a return missing, or is it still to be set?"),
        (lambda x, n: x @ x, "at x [2×3], n = 2 it raises ValueError: matmul: "),
    ]:
        assert said in said_of(own, pair, at=[(A, 2)])
    with pytest.raises(TypeError, match=r"give arguments to compare it with: at="):
        check(len, lambda text: len(text))


def test_several_wrong_parts_are_a_table(capsys):
    said = said_of({"w": -1.0, "b": 4.0, "c": 0.0}, {"w": 1.0, "b": 2.0, "c": 0.0}, name="grad")
    assert said == "grad: 2 of 3 values are wrong"
    assert capsys.readouterr().out.splitlines() == [
        "           yours  verdict",
        "---------------------------------------",
        "grad['w']  −1     ✗ wrong sign",
        "grad['b']  4      ✗ twice the right one",
        "grad['c']  0      ✓ right",
        "---------------------------------------",
    ]


def test_a_tolerance_is_no_hint():
    with pytest.raises(TypeError, match=r"hint is 0.001; it is the sentence that is said if the answer is wrong"):
        check(1.0, 1.0, 1e-3)


def test_the_error_is_one_line_in_a_notebook():
    assert NotRight("4: wrong sign")._render_traceback_() == ["\x1b[1;31m✗\x1b[0m 4: wrong sign"]
    assert issubclass(NotRight, AssertionError)


def unwritten(a):
    """A stub as a student gets it."""
    raise NotImplementedError()


PARTS = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.complex_numbers(),
    npst.arrays(st.sampled_from([np.float64, np.int64, np.bool_]), npst.array_shapes(max_dims=2, max_side=3)),
)  # fmt: skip
ANSWERS = st.recursive(
    PARTS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3), st.tuples(parts, parts), st.dictionaries(st.sampled_from("ab"), parts)
    ),
    max_leaves=5,
)


@given(ANSWERS, ANSWERS)
@example(None, complex(0, np.nan))
@example([1j, [2]], np.array([complex(np.inf, np.nan), np.nan]))
@example({}, np.array(["NaT"], "datetime64[D]"))
def test_every_answer_gets_a_verdict(value, expected):
    check(expected, expected)
    try:
        check(value, expected)
    except NotRight as error:
        assert str(error)


def test_complex_numbers_may_be_rounded():
    check(0.1j + 0.2j, 0.3j)
    check([1, 2j], [1, 2j])
    with pytest.raises(NotRight, match=r"2j: not the right complex128 values"):
        check(2j, 1j)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda a: ..., r"at a = 0.3 it is \.\.\.: still to be filled in"),
        (lambda a: None, r"at a = 0.3 it is None: no value"),
        (unwritten, r"unwritten: still to be filled in"),
        (nn.Module().forward, r"it raises NotImplementedError: Module has no forward"),
    ],
)
def test_a_function_that_is_not_written_yet(answer, message):
    with pytest.raises(NotRight, match=message):
        check(answer, lambda a: a)


def test_a_gradient_set_by_hand_came_from_no_backward():
    x = Tensor(2.0, name="x")
    loss = x * 3.0
    x.grad = 6.0
    with pytest.raises(NotRight, match=r"x \(twice the right one\)"):
        check_gradients(loss)
    x.grad = ...
    with pytest.raises(NotRight, match=r"x \(still to be filled in\)"):
        check_gradients(loss)
    x.grad = None
    loss.backward()
    (x * 3.0).backward()
    with pytest.raises(NotRight, match=r"did backward\(\) run twice without zero_grad\(\)\?"):
        check_gradients(x * 3.0)


def product():
    """f = (x + y) z with the names of CS231n."""
    x, y, z = Tensor(-2.0, name="x"), Tensor(5.0, name="y"), Tensor(-4.0, name="z")
    q = x + y
    return q * z, x, y, z, q


def test_gradients_are_a_table_of_yours_and_the_right_ones(capsys):
    f, x, y, _z, q = product()
    x.grad, y.grad = -4.0, 4.0
    with pytest.raises(NotRight) as caught:
        check_gradients(f, hint=HINT)
    assert str(caught.value) == f"2 of 4 gradients not right: y (wrong sign), z (not set). Hint: {HINT}"
    assert capsys.readouterr().out.splitlines() == [
        "tensor  shape  yours  right  verdict",
        "-----------------------------------------",
        "x              −4     −4     ✓ right",
        "y              4      −4     ✗ wrong sign",
        "q                     −4     ○ not set",
        "z                     3      ○ not set",
        "-----------------------------------------",
        "✓ 1 right, ✗ 1 wrong, ○ 2 not set",
    ]
    assert q.grad is None


def test_gradients_by_name_or_tensor(capsys):
    f, x, _y, _z, q = product()
    check_gradients(f, {"x": -4, "y": -4.0, "z": 3, q: [-4.0]} | {q: -4.0})
    assert x.grad is None and "✓ 4 right" in capsys.readouterr().out


def test_the_usual_mistakes_of_a_backward_pass(capsys):
    x = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, 1.0], [2.0, 1.0, -1.0], [0.0, 1.0, 4.0], [1.0, 1.0, 2.0]])
    w, b = Tensor(A.T, name="w"), Tensor([0.5, -1.0], name="b")
    loss = ((x @ w + b) ** 2).mean()
    loss.backward()
    right = w.grad
    for wrong, hint in [
        (-right, "wrong sign"),
        (10 * right, "10 times the right one: is the 1/10 of a mean missing, or did backward() run 10 times"),
        (2 * right, "twice the right one: did backward() run twice without zero_grad()?"),
        (right.T, "transposed: shape [2×3] instead of [3×2]"),
        (right / 10, "1/10 of the right one: is a mean taken where a sum should be?"),
    ]:
        with pytest.raises(NotRight) as caught:
            check_gradients(loss, {"w": wrong, "b": b.grad})
        assert f"w ({hint}" in str(caught.value)
    with pytest.raises(NotRight, match="not summed over axis 0"):
        check_gradients(loss, {"w": right, "b": np.tile(b.grad / 5, (5, 1))})
    x = Tensor(3.0, name="x")
    x.grad = 3.0
    with pytest.raises(NotRight, match=r"x \(only 1 of 2 paths\)"):
        check_gradients((x + 1.0) * x)


def test_what_is_no_loss():
    f, *_ = product()
    for wrong, error, said in [
        (3.0, TypeError, "takes a Tensor, the loss, not a float"),
        (Tensor(A), ValueError, r"shape \(2, 3\) is not a loss; make it one number, as with .sum\(\)"),
        (Tensor(1.0, requires_grad=False), ValueError, "no gradients"),
    ]:
        with pytest.raises(error, match=said):
            check_gradients(wrong)
    with pytest.raises(ValueError, match="grads has 'w'; this loss has x, y, "):
        check_gradients(f, {"w": 1.0})
    with pytest.raises(ValueError, match="grads has a tensor that the loss was not computed from"):
        check_gradients(f, {Tensor(1.0): 1.0})
    with pytest.raises(TypeError, match="grads is a list; it must be a dict"):
        check_gradients(f, [1.0])


@pytest.fixture
def fresh(monkeypatch):
    """No exercise has run."""
    monkeypatch.setattr(exercises, "results", {})
    monkeypatch.setattr(exercises, "running", [])


def test_the_score_of_a_script(fresh):
    said = "No exercise has been checked yet: run the cell below your answer, which checks it."
    assert (str(teach.score()), teach.score()._repr_html_()) == (said, f"<p>{said}</p>")
    assert teach.score()._repr_markdown_() == said
    teach.exercise("a-1")
    check(1, 1)
    teach.exercise("a-2")
    said_of(2, 1)
    check(1, 1)
    teach.exercise("a-3")
    found = teach.score(["a-1", "a-2", "a-3", "a-4"])
    assert (found.right, found.total) == (1, 4)
    assert found.results == {"a-1": True, "a-2": False, "a-3": None, "a-4": None}
    assert str(found).splitlines() == [
        "exercise  result",
        "---------------------------",
        "a-1       ✓ right",
        "a-2       ✗ not right yet",
        "a-3       ○ not checked yet",
        "a-4       ○ not checked yet",
        "---------------------------",
        "1 of 4 exercises right",
    ]
    assert "<td" in found._repr_html_() and "| a-1 |" in found._repr_markdown_()


def test_in_a_notebook_an_exercise_is_right_if_its_cell_runs_to_the_end(fresh, monkeypatch):
    callbacks = {"post_run_cell": []}
    events = SimpleNamespace(callbacks=callbacks, register=lambda event, f: callbacks[event].append(f))
    monkeypatch.setattr(exercises, "notebook_shell", lambda: SimpleNamespace(events=events))
    for name, success in [("a-1", True), ("a-2", False), ("a-1", True)]:
        teach.exercise(name)
        check(1, 1)
        (end,) = callbacks["post_run_cell"]
        end(SimpleNamespace(success=success))
    check(1, 1)  # of no exercise
    assert teach.score().results == {"a-1": True, "a-2": False}


def write_answers(path, answers):
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in answers.items()}
    path.write_text(json.dumps({"metadata": {"tinygrad_edu": {"answers": coded}}}))


def test_answers_stand_in_a_notebook_of_the_working_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LookupError, match=r"no answer to 'a-1' in .*: no notebook here has answers in it; those of"):
        teach.answer("a-1")
    (tmp_path / "broken.ipynb").write_text("{")
    write_answers(tmp_path / "mine.ipynb", {"a-1": "x = 1 · 2"})
    teach.answer("a-1")
    assert capsys.readouterr().out == "x = 1 · 2\n"
    with pytest.raises(LookupError, match=r"there are answers to a-1$"):
        teach.answer("a-2")


def test_answers_of_a_notebook_whose_file_is_elsewhere(tmp_path, monkeypatch, capsys):
    write_answers(tmp_path / "mine.ipynb", {"a-1": "x = 1"})
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "mine.ipynb"))
    teach.answer("a-1")
    assert capsys.readouterr().out == "x = 1\n"


def test_answers_in_colab(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_answers(tmp_path / "it", {"a-1": "x = 1"})
    found = json.loads((tmp_path / "it").read_text())
    message = SimpleNamespace(blocking_request=lambda what, timeout_sec: {"ipynb": found})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(__name__="google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab._message", message)
    teach.answer("a-1")
    assert capsys.readouterr().out == "x = 1\n"
