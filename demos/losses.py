"""Losses: what they punish, and how hard they pull.

For a classifier the squared error hardly pulls where the answer is confidently wrong, as the sigmoid is flat there;
cross-entropy undoes the flatness by its logarithm: its gradient at the score is p - 1, large where p is bad.
For a line through points the squared error pulls hardest at outliers, so a few of them can tilt it.
The absolute error pulls equally at all, and Huber's loss pulls gently at what is near and no harder at what is far.
Run it with `python demos/losses.py`: every slope it prints and draws comes from the autograd.
"""

import lesson
import numpy as np

from tinygrad_edu import Tensor, functional as F, nn, optim, plots

CLASSIFIER = {  # of the score z of the right class, p = sigmoid(z)
    "squared error": lambda z: F.mse_loss(z.sigmoid(), np.ones(z.shape), "none"),
    "cross-entropy": lambda z: F.binary_cross_entropy_with_logits(z, np.ones(z.shape), "none"),
}
REGRESSION = {"MSE": F.mse_loss, "MAE": F.l1_loss, "Huber": F.huber_loss}  # of predictions and targets
OF_ERROR = {name: lambda e, loss=loss: loss(e, np.zeros(e.shape), "none") for name, loss in REGRESSION.items()}
SLOPE, INTERCEPT = 2.0, 1.0  # of the line that the points come from


def logit(p):
    """The score z with sigmoid(z) = p."""
    return np.log(p / (1 - p))


def value_and_slope(loss, x):
    """A loss and its derivative at each number of x, shape (n,)."""
    x = Tensor(x)
    values = loss(x)
    values.backward(np.ones(x.shape))
    return values.data, x.grad


def steps_back(loss, start, lr=1.0):
    """Steps of gradient descent until a score that starts below 0 is no longer there, so that p is 0.5 or more."""
    z, steps = Tensor(start), 0
    optimizer = optim.SGD([z], lr=lr)
    while z.item() < 0:
        optimizer.zero_grad()
        loss(z).backward()
        optimizer.step()
        steps += 1
    return steps


def points(rng, count=20, outliers=3):
    """Points near a line, the last few far below it: x and y of shape (count, 1)."""
    x = np.linspace(0, 5, count)[:, None]
    y = SLOPE * x + INTERCEPT + rng.normal(0, 0.3, x.shape)
    y[count - outliers :] -= 12
    return x, y


def line(loss, x, y, steps=600):
    """Slope and intercept of a line with the lowest loss."""
    model = nn.Linear(1, 1, dtype=float, init=nn.init.zeros)
    optimizer = optim.Adam(model.parameters(), lr=0.2)
    scheduler = optim.CosineAnnealingLR(optimizer, steps)  # the absolute error's slope never gets small, the steps must
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return model.weight.item(), model.bias.item()


def panels(losses, x):
    """Values and slopes of losses over x, as plots.curves takes them."""
    found = {name: value_and_slope(loss, x) for name, loss in losses.items()}
    return {what: {name: (x, pair[i]) for name, pair in found.items()} for i, what in enumerate(("loss", "slope"))}


def pictures(x, y, lines):
    """The losses of a classifier over its score, and those of a line over the error beside the lines that they find."""
    shown = panels(CLASSIFIER, np.linspace(-8, 8, 161))
    title = "A classifier, from confidently wrong to confidently correct"
    classifier = plots.curves(shown, xlabel="score z of the correct class", title=title)
    shown = panels(OF_ERROR, np.linspace(-4, 4, 161))
    shown["lines and grey points"] = {name: (x[:, 0], a * x[:, 0] + b) for name, (a, b) in lines.items()}
    outliers = plots.curves(shown, xlabel=["error", "error", "x"], title="A line, and outliers")
    outliers.axes[2].plot(x[:, 0], y[:, 0], "o", color="#777777", markersize=4)
    return {"losses_classifier.png": classifier, "losses_outliers.png": outliers}


def main(argv=None):
    parser = lesson.parser(__doc__)
    parser.add_argument("--outliers", type=lesson.integer(0, 10), default=3, help="how many of the 20 points, 0 to 10")
    args = parser.parse_args(argv)

    p = np.array([0.99, 0.7, 0.5, 0.1, 0.01, 0.001])
    mse, entropy = [value_and_slope(loss, logit(p)) for loss in CLASSIFIER.values()]
    print("A classifier that should say yes, and does with p = sigmoid(z); its loss, and the slope in the score z:\n")
    print("    p  squared error    slope  cross-entropy    slope")
    for row in zip(p, *mse, *entropy, strict=True):
        print("{:5g}  {:13.4f}  {:7.4f}  {:13.4f}  {:7.4f}".format(*row))
    back = [steps_back(loss, logit(p[-1])) for loss in CLASSIFIER.values()]
    print(f"\nFrom p = {p[-1]:g} gradient descent (lr 1) needs {back[0]:,} steps to p = 0.5 with the squared")
    print(f"error, {back[1]} with cross-entropy: the first is flat where the answer is most wrong.")

    x, y = points(np.random.default_rng(args.seed), outliers=args.outliers)
    lines = {name: line(loss, x, y) for name, loss in REGRESSION.items()}
    print(f"\nA line y = {SLOPE:g} x + {INTERCEPT:g} from {len(x)} points, {args.outliers} of them outliers:\n")
    print("loss    slope of the loss at an error of 0.1    1   10    line found")
    for name, loss in OF_ERROR.items():
        pulls = value_and_slope(loss, [0.1, 1.0, 10.0])[1]
        print("{:5}   {:>36.1f} {:4.0f} {:4.0f}    {:.2f} x + {:.2f}".format(name, *pulls, *lines[name]))
    off = ", ".join(f"{abs(slope - SLOPE):.2f} ({name})" for name, (slope, _) in lines.items())
    print(f"\nThe slopes of these lines are off by {off}.")
    print("Beyond an error of 1 only the squared error pulls harder the farther away a point is.\n")

    for name, figure in pictures(x, y, lines).items():
        lesson.save(figure, args.out / name)


if __name__ == "__main__":
    lesson.run(main)
