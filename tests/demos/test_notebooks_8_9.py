"""What the exercises of notebooks 8 and 9 say of typical wrong answers, each run with the cells that it needs alone."""

import pytest
from demo_runs import import_demo

from tinygrad_edu.teach import NotRight

for package in ("jupytext", "nbclient", "ipywidgets"):
    pytest.importorskip(package, reason='needs `pip install -e ".[notebooks]"`')

build = import_demo("notebooks/build")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the notebooks' own packages

NOTEBOOKS = {"bigrams": "08_bigrams_to_attention", "gpt": "09_gpt"}
NEEDED = {"bigrams-2": "KNOWN = ", "gpt-3": "class Block"}  # how the cell begins that an exercise needs
SUMMED = "    g = np.zeros_like(p)\n    for a, b in zip(came, then):\n        g[a] += p[a]\n        g[a, b] -= 1\n"
WEIGHTS = "    weights = F.softmax(np.where(np.tri(len(q), dtype=bool), {}, -np.inf){})\n"
PLACES = "    places = starts[:, None] + np.arange(context)\n"
WRONG = [
    ("bigrams-1", "def surprise(p):\n    return np.log(p).mean()", "wrong sign. Hint: minus the natural logarithm"),
    ("bigrams-1", "def surprise(p):\n    return -np.log(p).sum()", "3 times the right one. Hint: the mean over all"),
    ("bigrams-1", "def surprise(p):\n    return -np.log2(p).mean()", "Hint: minus the natural logarithm"),
    ("bigrams-2", f"def gradient_of_table(p, came, then):\n{SUMMED}    return g", "is the 1/7 of a mean missing"),
    ("bigrams-2", f"def gradient_of_table(p, came, then):\n{SUMMED}    return -g / len(came)", "wrong sign"),
    (
        "bigrams-2",
        "def gradient_of_table(p, came, then):\n    g = np.zeros_like(p)\n    g[came] += p[came]\n"
        "    g[came, then] -= 1\n    return g / len(came)",
        "wrong in 8 of 16 elements). Hint: each pair adds p",
    ),
    ("bigrams-3", "def mean_weights(n):\n    return np.tri(n)", "the weights of each row must add up to 1"),
    ("bigrams-3", "def mean_weights(n):\n    w = np.tri(n)\n    return (w / w.sum(1)[:, None]).T", "transposed. Hint:"),
    (
        "bigrams-4",
        "def attend(q, k, v):\n    return F.softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v",
        "Hint: the first place may look at itself alone",
    ),
    (
        "bigrams-4",
        f"def attend(q, k, v):\n{WEIGHTS.format('q @ k.T / np.sqrt(q.shape[-1])', ', 0')}    return weights @ v",
        "then softmax by rows",
    ),
    (
        "bigrams-4",
        f"def attend(q, k, v):\n{WEIGHTS.format('q @ k.T', '')}    return weights @ v",
        "Hint: q @ k.T / √d",
    ),
    (
        "bigrams-4",
        f"def attend(q, k, v):\n{WEIGHTS.format('q @ k.T / np.sqrt(q.shape[-1])', '')}    return weights",
        "shape [5] instead of [4]",
    ),
    ("bigrams-5", "def softmax_backward(p, g):\n    return p * g", "Hint: subtract Σ p g of the row"),
    ("bigrams-5", "def softmax_backward(p, g):\n    return p * (g - (p * g).sum())", "(keepdims=True)"),
    (
        "gpt-1",
        f"def pieces(data, starts, context):\n{PLACES}    return data[places], data[places]",
        "is the letter after",
    ),
    (
        "gpt-1",
        f"def pieces(data, starts, context):\n{PLACES}    return data[places.T], data[places.T + 1]",
        "transposed: shape [4×2] instead of [2×4]. Hint: one row for each start",
    ),
    ("gpt-2", "def slopes(s, n):\n    return s**n, (1 + s) ** n", "two values swapped. Hint: x + f(x) has the slope"),
    ("gpt-2", "def slopes(s, n):\n    return (1 + s) * n, s * n", "Hint: x + f(x) has the slope 1 + s"),
    ("gpt-3", "def block_parameters(width):\n    return 12 * width**2", "1200 is not right. Hint: 12 width² for"),
    (
        "gpt-4",
        "def size_in_bytes(loss, letters):\n    return letters * loss / np.log(2)",
        "8 is not right. Hint: a surprise of ln 2",
    ),
    (
        "gpt-4",
        "def size_in_bytes(loss, letters):\n    return letters * loss / 8",
        "Hint: a surprise of ln 2 is one bit",
    ),
]


@pytest.fixture(scope="module")
def cells():
    return {name: build.read_source(notebook).cells for name, notebook in NOTEBOOKS.items()}


@pytest.mark.parametrize(("exercise", "wrong", "hint"), WRONG)
def test_a_wrong_answer_gets_its_hint(exercise, wrong, hint, cells):
    notebook = cells[exercise.partition("-")[0]]
    (test,) = [cell for cell in notebook if build.is_marked(cell, "grade") and build.exercise_of(cell) == exercise]
    needed = ("import ", NEEDED[exercise]) if exercise in NEEDED else ("import ",)
    namespace = {}
    exec("import tinygrad_edu", namespace)
    for cell in notebook:
        if cell.cell_type == "code" and cell.source.startswith(needed):
            exec(cell.source.partition("\nloss.graph")[0], namespace)
    exec(wrong, namespace)
    with pytest.raises(NotRight) as caught:
        exec(test.source, namespace)
    assert hint in str(caught.value)


def test_every_exercise_has_a_wrong_answer():
    assert {exercise for exercise, *_ in WRONG} == {
        *(f"bigrams-{i}" for i in range(1, 6)),
        *(f"gpt-{i}" for i in range(1, 5)),
    }
