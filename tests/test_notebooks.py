"""What a program does in a notebook: in a shell like that of a kernel and, where it is installed, in a real one."""

import os
import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import notebooks, plots
from tinygrad_edu.notebooks import DARK_HOST, LIGHT_HOST, notebook_shell


class Shell:
    """IPython's shell, as far as it is asked for anything; `end_cell` ends the running cell."""

    def __init__(self, kernel):
        self.kernel = kernel
        callbacks = {"post_execute": []}
        self.events = SimpleNamespace(
            callbacks=callbacks, register=lambda event, callback: callbacks[event].append(callback)
        )

    def end_cell(self):
        for callback in self.events.callbacks["post_execute"]:
            callback()


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: as IPython's display would call each object's method."""
    found = []

    def display(thing):
        assert thing._repr_mimebundle_(include=None, exclude=None)[0]["image/png"]
        found.append(thing)

    fake = ModuleType("IPython")
    fake.version_info = 9, 0, 0  # which matplotlib looks at
    fake.display = ModuleType("IPython.display")
    fake.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake.display)
    monkeypatch.setattr(notebooks, "waiting", [])
    return found


@pytest.fixture
def shell(shown):
    running = Shell(kernel=object())
    sys.modules["IPython"].get_ipython = lambda: running
    return running


def figure(title):
    pytest.importorskip("matplotlib")
    return plots.table(np.eye(2), "ab", "ab", title=title)


def test_each_figure_of_a_cell_is_shown_once_in_their_order(shell, shown):
    first, second, last = figure("1"), figure("2"), figure("3")
    assert shown == []
    second._repr_mimebundle_()  # as display(second) would
    assert shown == [first]
    shell.end_cell()
    shell.end_cell()
    assert shown == [first, last]
    data, sizes = last._repr_mimebundle_()
    assert data["text/plain"] == repr(last) and sizes == {"image/png": {"width": 650}}
    assert f'base64,{data["image/png"]}" alt="3"' in data["text/html"]
    for host, look in ((DARK_HOST, "invert(.93) hue-rotate(180deg)"), (LIGHT_HOST, "none")):
        assert f"{host} img.tinygrad-plot{{filter:{look}}}" in data["text/html"]
    assert pickle.loads(pickle.dumps(last)).get_suptitle() == "3"


def test_training_curves_are_one_figure(shell, shown):
    pytest.importorskip("matplotlib")
    drawn = plots.training_curves([{"train_loss": 1.0, "train_accuracy": 0.5}])
    with pytest.raises(ValueError, match="the shape must be"):
        plots.table(np.eye(2), "ab", "abc")
    shell.end_cell()
    assert shown == [drawn]


@pytest.mark.parametrize(
    "ipython", [None, lambda: None, lambda: Shell(kernel=None)], ids=["absent", "idle", "terminal"]
)
def test_outside_of_notebooks_nothing_is_shown(shown, monkeypatch, ipython):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", ipython, raising=False)
    if ipython is None:
        monkeypatch.delitem(sys.modules, "IPython")
    assert notebook_shell() is None
    assert not hasattr(figure("1"), "_repr_mimebundle_") and notebooks.waiting == shown == []


CELLS = [
    "import warnings; warnings.simplefilter('error', UserWarning)\n"
    "import numpy as np\n"
    "from tinygrad_edu import Tensor, data, nn, optim, plots, training\n"
    "from tinygrad_edu.training import bars\n"
    "x = Tensor(2.0)\n"
    "loss = (x * 3.0).tanh()\n"
    "loss.graph()",
    "loss.graph().player()",
    "loss.explain(x)",
    "net = nn.MLP([2, 3, 2])\nnet.summary(2)",
    "training.diagnose(net, np.eye(2))",
    "bars.PATIENCE = 0\n"
    "batches = [(np.eye(2, dtype=np.float32), np.arange(2))] * 5\n"
    "settings = dict(optimizer=optim.SGD(net.parameters()), loss=nn.CrossEntropyLoss())\n"
    "history = training.fit(net, batches, epochs=2, validation=batches, **settings)",
    "history",
    "first = plots.training_curves(history)\nplots.table(np.eye(2), 'ab', 'ab')",
]


@pytest.mark.filterwarnings("ignore")  # of the notebook's own packages
def test_a_notebook_runs_and_shows_everything_once():
    reason = "needs `pip install nbclient ipykernel ipywidgets`"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    for package in ("ipykernel", "ipywidgets", "matplotlib", "tqdm"):
        pytest.importorskip(package, reason=reason)
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    path = os.pathsep.join([str(Path(tinygrad_edu.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    nbclient.NotebookClient(notebook, timeout=120).execute(env={**os.environ, "PYTHONPATH": path})
    outputs = [cell.outputs for cell in notebook.cells]
    kinds = [[set(output.get("data", [output.get("name")])) for output in found] for found in outputs]
    picture = {"text/html", "image/svg+xml", "image/png", "application/pdf", "text/plain"}
    table = {"text/html", "text/markdown", "text/plain"}
    assert kinds[0] == [picture] and kinds[1] == [picture - {"image/svg+xml"}]
    assert kinds[2] == [{"text/markdown", "text/latex", "text/plain"}]
    assert kinds[3:5] == [[table], [table]] and kinds[6] == [table]
    assert kinds[5][0] == {"text/html", "text/plain"} and outputs[5][0].data["text/html"] == "", "the bars are gone"
    lines = "".join(output.text for output in outputs[5][1:]).splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "1", "2"]
    assert kinds[7] == [{"text/html", "image/png", "text/plain"}] * 2
    assert all(output.metadata["image/png"]["width"] in (650, 900) for output in outputs[7])
