"""What the page of the playground is made of: pictures, fields and answers as marimo shows them."""

import base64
import html
import io
import math

import marimo as mo

from play.expression import FUNCTIONS
from tinygrad_edu import plots
from tinygrad_edu.draw import NoEngineError
from tinygrad_edu.training import diagnose

EXAMPLES = {
    "a sum and a product": "q = x + y\nf = q * z",
    "a neuron and its loss": "w = 0.5; x = 2; b = 0; y = 1\nz = w*x + b; a = sigmoid(z)\nL = (y - a)**2",
    "add, multiply and max": "x = 3; y = -4; z = 2\ny*x + max(x, z)",
    "two paths": "x = 2; q = x**2\nq * sin(x)",
    "softmax of two": "a = 2; b = 1\nexp(a) / (exp(a) + exp(b))",
}
VIEWS = {"both passes": "both", "forward": "forward", "backward": "backward", "player": "player"}
GRAPHS = {  # whether of one point, and how many levels of modules stay open
    "none": None,
    "on one point": (True, None),
    "on all points": (False, None),
    "on all points, a card a layer": (False, 1),
}
COLUMNS = {"points": "train_loss", "unseen points": "val_loss"}
ALL = "all leaves"
HIGHEST = 5.0  # inches of a plot, so that all of a run is in sight
STARTS = (-2.0, 5.0, -4.0, 3.0, 1.0, 2.0, -1.0, 0.5, 4.0, -3.0, 1.5, -0.5)  # of leaves in their order
RATES = [float(f"{digit}e{power}") for power in range(-4, 1) for digit in (1, 3)] + [10.0]
STRENGTHS = [float(f"{digit}e{power}") for power in range(-5, -1) for digit in (1, 3)] + [0.1]
HELP = f"""\
Names are leaves, each with a slider. `x = 3; x**2` says where a slider begins, and `q = x + y; q * z` gives a part a
name; a new line does as well as `;`. There are `+ - * / **`, `pi`, `e`, and `{" ".join(sorted(FUNCTIONS))}`.
"""


def slider(name, start, remembered):
    """The slider of a leaf: at the number that was given, else where the leaf was before, else at one of STARTS."""
    value = start if start is not None else remembered.setdefault(name, STARTS[len(remembered) % len(STARTS)])
    most = 10.0 if 0.01 <= abs(value) <= 5 or not value else 2 * abs(value)
    step = 10.0 ** (math.floor(math.log10(most)) - 2)  # at least 100 steps to each side
    step /= 1 if math.isclose(value, round(value / step) * step) else 100
    return mo.ui.slider(-most, most, step, value, label=name, include_input=True, full_width=True)


def picture(graph):
    """A computational graph as HTML, or as text where nothing can draw it."""
    shown, _ = graph._repr_mimebundle_({"text/html", "text/plain"})
    return mo.Html(shown.get("text/html") or f"<pre>{html.escape(shown['text/plain'])}</pre>")


def equation(output):
    """The name of an output and its value."""
    return f"**{output.name} = {output.item():.6g}**".replace("-", "−")


def drawn(output, view):
    """The graph of an expression in one of VIEWS."""
    if view != "player":
        return picture(output.graph(mode=view))
    try:
        return mo.Html(output.graph().player()._repr_html_())
    except NoEngineError as error:
        return refusal(error)


def plot(figure, words):
    """A figure as an image no wider than its place: in the page itself, as marimo drops files before they are read."""
    figure.savefig(file := io.BytesIO(), format="png", dpi=90)
    data = base64.b64encode(file.getvalue()).decode()
    return mo.Html(f'<img src="data:image/png;base64,{data}" alt="{html.escape(words)}" style="max-width:100%">')


def progress(trainer):
    """The region that the network decides, and the loss over the steps: two plots."""
    history, last = trainer.history, trainer.history[-1]
    unseen = f", {last['val_accuracy']:.1%} of unseen points" if "val_accuracy" in last else ""
    title = f"step {trainer.steps}: {last['train_accuracy']:.1%} right{unseen}"
    region = plots.regions({title: trainer.scores}, trainer.points, trainer.labels)
    region.set_figheight(min(region.get_figheight(), HIGHEST))
    lines = {name: history[column] for name, column in COLUMNS.items() if column in last}
    loss = plots.curves({"loss": {name: (history["epoch"], ys) for name, ys in lines.items()}}, xlabel="step")
    return plot(region, f"decision region, {title}"), plot(loss, f"loss: {last['train_loss']:.4f}")


def weights(trainer):
    """Histograms of the weights and the gradients of each layer, and what ails the network."""
    layers = trainer.layers()
    rows = {"weights": [w for w, _ in layers.values()], "gradients": [g for _, g in layers.values()]}
    report = diagnose(trainer.net, trainer.points, trainer.labels, lambda out, y: trainer.criterion(out[:, 0], y))
    figure = plots.histograms(rows, list(layers))
    figure.set_figheight(HIGHEST / 2)
    return plot(figure, "weights and gradients of each layer"), scrolling(mo.as_html(report))


def beside(*parts, widths=(1, 1), least="20rem"):
    """Parts beside each other or, where that would be too narrow, above each other."""
    items = [
        f'<div style="flex:{width} 1 {width * 100 // sum(widths) - 5}%;min-width:min({least},100%)">{part.text}</div>'
        for part, width in zip(parts, widths, strict=True)
    ]
    return mo.Html(f'<div style="display:flex;flex-wrap:wrap;gap:1rem 2rem">{"".join(items)}</div>')


def scrolling(part):
    """A part that scrolls by itself where it is too wide."""
    return mo.Html(f'<div class="scrolls">{part.text}</div>')


def refusal(error):
    """What is wrong with what was typed, and where."""
    where = f"<pre>{html.escape(error.marked())}</pre>" if hasattr(error, "marked") else ""
    return mo.callout(mo.Html(f"{where}{html.escape(str(error))}"), kind="warn")
