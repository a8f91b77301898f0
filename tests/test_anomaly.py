"""detect_anomaly: which op is named, with which operands, and which line of the program."""

import re
import warnings

import numpy as np
import pytest

from tinygrad_edu import Tensor, detect_anomaly, functional, nn, no_grad, op, ops
from tinygrad_edu.engine import REGISTRY, current_mode


def here(error):
    """File and line of the test that the error speaks of, and the text of that line."""
    match = re.search(r"called at (.+):(\d+): (.*)", str(error.value))
    assert match, str(error.value)
    return match[1], match[2], match[3]


FORWARD = [
    ("log", "an infinity", lambda x: ops.log(x)),
    ("log", "NaN", lambda x: ops.log(x - 1)),
    ("sqrt", "NaN", lambda x: (x - 1).sqrt()),
    ("divide", "an infinity", lambda x: 1 / x),
    ("divide", "NaN", lambda x: x / x),
    ("power", "an infinity", lambda x: x**-1),
    ("exp", "an infinity", lambda x: np.exp(x + 1e4)),
    ("multiply", "an infinity", lambda x: (x + 1e200) * 1e200),
]


@pytest.mark.parametrize("name, what, program", FORWARD)
@pytest.mark.parametrize("values", [0.0, [1.0, 0.0]])
def test_forward(name, what, program, values):
    x = Tensor(values, name="x")
    if what == "an infinity" or values == 0.0:
        with detect_anomaly(), pytest.raises(FloatingPointError, match=f"^{name} made {what}") as error:
            program(x)
        file, _, source = here(error)
        assert file == __file__ and "lambda x" in source


def test_the_message_shows_operands_file_line_and_source():
    a, b = Tensor([1.0, 2.0], name="a"), Tensor([1.0, 0.0], name="b")
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        a / b  # the culprit
    file, line, source = here(error)
    assert file == __file__ and source == "a / b  # the culprit"
    with open(__file__, encoding="utf-8") as text:
        assert text.readlines()[int(line) - 1].strip() == source
    message = str(error.value)
    assert message.startswith("divide made an infinity")
    assert "x = Tensor([1., 2.], name='a')" in message and "y = Tensor([1., 0.], name='b')" in message


def test_the_line_is_the_users_also_inside_composed_functions_and_layers():
    x = Tensor([[np.inf, 1.0]])
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        functional.var(x)  # a composed function
    assert here(error)[2] == "functional.var(x)  # a composed function"
    layer = nn.Linear(2, 1)
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"^linear got an infinity in x") as error:
        layer(x)  # a layer
    assert here(error)[2] == "layer(x)  # a layer"


BACKWARD = [
    ("sqrt", "x", "an infinity", lambda x: ops.sqrt(x)),
    ("log", "x", "an infinity", lambda x: functional.square(ops.log(x + 1e-200) * 1e-2) * 1e200),
    ("power", "x", "an infinity", lambda x: x**0.5),
    ("multiply", "x", "an infinity", lambda x: x * 1e-200 * 1e200),
]


@pytest.mark.parametrize("name, argument, what, program", BACKWARD)
def test_backward(name, argument, what, program):
    x = Tensor([1.0, 0.0], name="x")
    with detect_anomaly():
        y = program(x)
        gradient = [1e200, 1e200] if name == "multiply" else [1.0, 1.0]
        with pytest.raises(
            FloatingPointError, match=rf"^the backward of {name} \(to {argument}\) made {what}"
        ) as error:
            y.backward(gradient)
    assert here(error)[0] == __file__ and "lambda x" in here(error)[2]
    assert "Tensor(" in str(error.value)


def test_backward_alone_does_not_know_the_line():
    y = ops.sqrt(Tensor(0.0))
    with (
        detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"backward of sqrt.*a line outside detect_anomaly\(\)"),
    ):
        y.backward()


def test_a_wrong_rule_is_named():
    @op(lambda g, out, x: g * np.nan)
    def poisoned(x):
        return x + 1

    try:
        with detect_anomaly():
            y = poisoned(Tensor(1.0, name="weight")) * 2
            with pytest.raises(FloatingPointError, match=r"(?s)backward of poisoned \(to x\) made NaN.*name='weight'"):
                y.backward()
    finally:
        del REGISTRY["poisoned"]


@pytest.mark.parametrize("create_graph", [False, True])
def test_second_derivatives_are_watched(create_graph):
    x = Tensor(0.0)
    with detect_anomaly():
        y = x**1.5
        y.backward(create_graph=create_graph)  # 1.5 * sqrt(0) is fine
        if create_graph:
            first, x.grad = x.grad, None
            with pytest.raises(FloatingPointError, match="backward of power"):
                first.backward()


def test_only_the_first_culprit_is_reported():
    x = Tensor([0.0])
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"^log made an infinity") as error:
        y = ops.log(x)
        z = y * 0
        z.exp()
    assert here(error)[2] == "y = ops.log(x)"


def test_constants_are_watched_too():
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"^log made"):
        ops.log(Tensor(0.0, requires_grad=False))
    with detect_anomaly(), no_grad(), pytest.raises(FloatingPointError, match=r"^log made"):
        ops.log(Tensor(0.0))


def test_clean_graphs_pass():
    x = Tensor(np.linspace(-2, 2, 12).reshape(3, 4))
    with detect_anomaly():
        loss = (functional.cross_entropy(x, np.array([0, 1, 2])) + ops.tanh(x).sum()) * 2
        loss.backward(create_graph=True)
        (x.grad * x.grad).sum().backward()
    plain = Tensor(x.data)
    loss = (functional.cross_entropy(plain, np.array([0, 1, 2])) + ops.tanh(plain).sum()) * 2
    loss.backward()
    assert np.isfinite(plain.grad).all()


def test_outside_nothing_is_watched():
    with detect_anomaly():
        pass
    with np.errstate(divide="ignore"):
        y = ops.log(Tensor(0.0))
    assert y.item() == -np.inf


def test_nested_and_after_an_error():
    x = Tensor(0.0)
    with detect_anomaly():
        with detect_anomaly(), pytest.raises(FloatingPointError):
            ops.log(x)
        with pytest.raises(FloatingPointError):
            ops.log(x)
    with pytest.raises(ZeroDivisionError), detect_anomaly():
        raise ZeroDivisionError
    with np.errstate(divide="ignore"):
        ops.log(x)


def test_as_a_decorator():
    @detect_anomaly()
    def step(x):
        return ops.log(x)

    assert step(Tensor(1.0)).item() == 0
    for _ in range(2):
        with pytest.raises(FloatingPointError, match=r"^log made") as error:
            step(Tensor(0.0))
        assert here(error)[2] == "return ops.log(x)"
    with np.errstate(divide="ignore"):
        ops.log(Tensor(0.0))


def test_numpys_warnings_are_silent_inside_and_back_outside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with detect_anomaly(), pytest.raises(FloatingPointError):
            ops.log(Tensor(0.0))
        with pytest.raises(RuntimeWarning):
            ops.log(Tensor(0.0))


def test_numpys_warnings_come_back_where_a_block_is_suspended_or_left_in_another_order():
    def inside():
        with detect_anomaly():
            yield

    before = np.geterr()
    first, second = inside(), inside()
    next(first), next(second)
    assert np.geterr() == before
    first.close(), second.close()
    assert np.geterr() == before


MASKED = [  # the bad element is masked afterwards: which op and operand the message speaks of
    ("log", "x", lambda x, good: np.where(good, np.log(x), 0.0)),
    ("sqrt", "x", lambda x, good: np.where(good, np.sqrt(x), 0.0)),
    ("divide", "y", lambda x, good: np.where(good, 1.0 / x, 0.0)),
    ("divide", "y", lambda x, good: (1.0 / x) * good),
    ("power", "x", lambda x, good: np.where(good, x**-0.5, 0.0)),
    ("arcsin", "x", lambda x, good: np.where(good, np.arcsin(1 - x), 0.0)),
    ("logsumexp", None, lambda x, good: np.where(good, np.logaddexp.reduce(x[None] * [[-np.inf], [-np.inf]]), 0.0)),
]


@pytest.mark.parametrize("name, operand, program", MASKED)
def test_a_where_around_the_bad_element_is_answered(name, operand, program):
    x = Tensor([0.0, 0.5])
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        program(x, x.data > 0).sum().backward()
    hint = rf"where\(\).* after {name} does not help.*{operand} = np.where\(good, {operand}, 1.0\)"
    assert bool(re.search(hint, str(error.value))) == (operand is not None), str(error.value)


def test_the_advice_of_that_answer_works():
    x = Tensor([0.0, 0.5])
    good = x.data > 0
    with detect_anomaly():
        np.where(good, np.log(np.where(good, x, 1.0)), 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 2])


def test_masks_of_minus_infinity_pass_and_other_infinities_are_named():
    scores, mask = Tensor([1.0, 2.0, 3.0]), np.array([True, False, True])
    with detect_anomaly():
        for masked in (np.where(mask, scores, -np.inf), scores + np.where(mask, 0.0, -np.inf)):
            (masked.softmax() * [1.0, 2.0, 3.0]).sum().backward()
        with pytest.raises(FloatingPointError, match="add got an infinity in y"):
            scores + np.array([np.inf, 0.0, 0.0])
        with pytest.raises(FloatingPointError, match="multiply got NaN in x"):
            Tensor(np.nan) * 2
        with pytest.raises(FloatingPointError, match="negative got an infinity in x"):
            -Tensor(-np.inf)
    assert np.isfinite(scores.grad).all()


def write(array):
    array[0] = 0 if array.dtype == int else 100


CHANGED = [  # a forward pass of x and a constant c, what is changed, and what the error names
    (lambda x, c: x * c, lambda x, c: write(c), "y of multiply"),
    (lambda x, c: x * x, lambda x, c: write(x.data), "x of multiply"),
    (lambda x, c: np.exp(x) * 2, lambda x, c: write(x.data), "x of exp"),
    (lambda x, c: x[c.astype(int, copy=False)], lambda x, c: write(c), "index of getitem"),
    (lambda x, c: np.where(c, x, 0), lambda x, c: write(c), "condition of where"),
    (lambda x, c: np.concatenate([x, c]) * 1.0, lambda x, c: write(c), "operand 1 of concatenate"),
]


@pytest.mark.parametrize("forward, change, name", CHANGED)
def test_an_array_that_changed_after_its_use_is_found_and_named(forward, change, name):
    kind = {"index of getitem": np.array([1, 0]), "condition of where": np.array([False, True])}
    for changed in (False, True):
        x, c = Tensor([1.0, 2.0], name="x"), kind.get(name, np.array([3.0, 4.0])).copy()
        with detect_anomaly():
            out = forward(x, c).sum()
            if not changed:
                out.backward()
                continue
            change(x, c)
            with pytest.raises(RuntimeError, match=rf"{name}, called at .*test_anomaly.*was changed since"):
                out.backward()


def test_what_is_remembered_goes_with_the_graph():
    with detect_anomaly() as _:
        watch = current_mode().watch
        x = Tensor([1.0, 2.0])
        for _ in range(100):
            (x * 2.0).sum().backward()
        assert len(watch.calls) <= 2
