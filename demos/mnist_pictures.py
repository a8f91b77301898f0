"""What demos/mnist_more.py draws with --plots: weights, answers, the worst mistakes and what is confused."""

import lesson
import numpy as np

from tinygrad_edu import plots
from tinygrad_edu.training import confusion_matrix

DIGITS = list("0123456789")


def draw(out, name, model, test, p):
    """Draws weights, answers, the worst mistakes and the confusion matrix; p (n, 10) are the probabilities."""
    figures = {"weights": draw_weights(name, model), "predictions": draw_predictions(name, test, p)}
    wrong = np.flatnonzero(p.argmax(axis=1) != test.labels)
    if len(wrong):
        figures["mistakes"] = draw_mistakes(name, test, p, wrong)
    else:
        (out / "mnist_mistakes.png").unlink(missing_ok=True)  # another run's
    texts = {"xlabel": "read as", "ylabel": "digit", "title": f"{name}: how the test images were read"}
    figures["confusion"] = plots.table(confusion_matrix(p, test.labels), DIGITS, DIGITS, fmt="{:.0f}", **texts)
    for key, figure in figures.items():
        lesson.save(figure, out / f"mnist_{key}.png")


def draw_weights(name, model):
    """The weights from the pixels to the units of the first layer."""
    weights = model[0].weight.data  # (units, 784)
    if len(model) == 1:  # softmax regression: a unit for each digit
        order, names, title = np.arange(10), DIGITS, f"{name}: weights to the ten digits"
    else:
        order, names = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:40], None
        title = f"{name}: weights from the pixels to the {len(order)} strongest of {len(weights)} units"
    return plots.images(weights[order].reshape(-1, 28, 28), names, signed=True, title=title)


def draw_predictions(name, test, p):
    """Twelve test images, each with a bar for the probability of each digit on its right."""
    answers, confidence = p.argmax(axis=1), p.max(axis=1)
    unsure = np.argsort(confidence, kind="stable")[:6]
    chosen = np.concatenate([np.arange(len(p))[:6], unsure])
    titles = []
    for i in chosen:
        titles += [f"{test.labels[i]}, read as {answers[i]}", f"{confidence[i]:.1%}"]
    twice = chosen.repeat(2)  # an image, and a place for its bars
    title, marks = f"{name}: the first six images, and the six with the least confidence", answers != test.labels
    figure = plots.images(test.images[twice], titles, columns=6, title=title, marks=marks[twice])
    for axes, i in zip(figure.axes[1::2], chosen, strict=True):
        axes.images[0].remove()
        axes.barh(range(10), p[i], color=plots.BLUE)
        axes.set(xlim=(0, 1), ylim=(9.6, -0.6), yticks=range(10), aspect="auto", box_aspect=1)
        axes.tick_params(labelsize=8, length=0)
    return figure


def draw_mistakes(name, test, p, wrong):
    """The mistakes with the most confidence; `wrong` are the indices of all."""
    answers, confidence = p.argmax(axis=1), p.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:24]
    titles = [f"{test.labels[i]}, read as {answers[i]}\n{confidence[i]:.1%}" for i in worst]
    title = f"{name}: the worst of {len(wrong):,} mistakes in {len(p):,} test images"
    return plots.images(test.images[worst], titles, title=title)
