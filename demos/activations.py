"""Activations side by side: sigmoid, tanh, ReLU, LeakyReLU, ELU, GELU and Maxout, each with its slope.

A network learns through slopes: what comes back to a neuron is multiplied by the slope of its activation.
Sigmoid and tanh saturate: far from 0 they are flat, and sigmoid keeps at most a quarter of the gradient even at 0.
Sigmoid and ReLU never answer below 0; tanh is centred there, and LeakyReLU, ELU and GELU come nearer to it.
Run it with `python demos/activations.py`; `--html FILE` also writes a page with sliders.
"""

from pathlib import Path

import lesson
import numpy as np
from page import slider, switches, write_page

from tinygrad_edu import Tensor, elu, gelu, leaky_relu, maximum, plots, relu, sigmoid, tanh

ACTIVATIONS = {  # the library's, and for the page value and slope in JavaScript
    "sigmoid": (sigmoid, "1 / (1 + Math.exp(-z))", "a * (1 - a)"),
    "tanh": (tanh, "Math.tanh(z)", "1 - a * a"),
    "ReLU": (relu, "Math.max(z, 0)", "z > 0 ? 1 : 0"),
    "LeakyReLU": (lambda z: leaky_relu(z, 0.1), "z > 0 ? z : 0.1 * z", "z > 0 ? 1 : 0.1"),  # 0.01 would not be seen
    "ELU": (elu, "z > 0 ? z : Math.expm1(z)", "z > 0 ? 1 : a + 1"),
    "GELU": (gelu, "z * normal(z)", "normal(z) + z * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)"),
    "Maxout": (  # of two lines; a layer of nn.Maxout learns them
        lambda z: maximum(-0.5 * z - 0.5, z),
        "Math.max(-0.5 * z - 0.5, z)",
        "z > -1 / 3 ? 1 : -0.5",
    ),
}
SATURATING = ("sigmoid", "tanh")  # drawn in a picture of their own


def value_and_slope(name, z):
    """The activation at z (n,) and its slope there by autograd, both (n,)."""
    z = Tensor(z)
    a = ACTIVATIONS[name][0](z)
    a.sum().backward()  # an answer depends on its own z alone, so each slope arrives by itself
    return a.data, z.grad


def facts(name, far, rng, samples):
    """What a network has to know: the largest slope and where it begins, the slopes far out, the mean answer.

    The mean is over inputs as batch norm delivers them: normal, around 0, with variance 1.
    """
    z = np.linspace(-far, far, 2 * max(1, round(200 * far)) + 1)  # 0 and every 0.005
    slope = value_and_slope(name, z)[1]
    at = int(slope.argmax())
    mean = value_and_slope(name, rng.standard_normal(samples))[0].mean()
    return {"most": slope[at], "where": z[at], "left": slope[0], "right": slope[-1], "mean": mean}


def main(argv=None):
    parser = lesson.parser(__doc__, page=True)
    parser.add_argument("--at", type=lesson.real(-100, 100), default=1.5, help="where values and slopes are printed")
    parser.add_argument("--range", type=lesson.real(0.5, 100), default=6.0, help="how far from 0 to look")
    parser.add_argument("--samples", type=lesson.integer(1000, 10_000_000), default=100_000, help="inputs for the mean")
    args = parser.parse_args(argv)
    if args.html:
        sliders(args.html)

    shown, far = [args.at, *np.linspace(-args.range, args.range, 401)], f"{args.range:g}"
    print(f"              z = {args.at:<5g}        largest         slope at        mean of a")
    print(f"activation    a       slope   slope   from z  {'-' + far:>7} {far:>7}   over normal z")
    found, curves = {}, {}
    for name in ACTIVATIONS:
        a, slope = value_and_slope(name, np.array(shown))
        curves[name] = {"a": (shown[1:], a[1:]), "slope": (shown[1:], slope[1:])}
        it = found[name] = facts(name, args.range, np.random.default_rng(args.seed), args.samples)
        print(
            f"{name:10}  {a[0]:7.4f} {slope[0]:7.4f}  {it['most']:6.4f}  {it['where']:5.2f}  "
            f"{round(it['left'], 4) + 0:8.4f} {it['right']:7.4f}  {round(it['mean'], 3) + 0:9.3f}"  # + 0: no -0
        )
    print("LeakyReLU's slope left of 0 is 0.1 here, and Maxout the larger of z and -(z + 1) / 2.")
    flat = [name for name, it in found.items() if max(abs(it["left"]), abs(it["right"])) < 0.05]
    centred = min(found, key=lambda name: abs(found[name]["mean"]))
    print(f"Flat on both sides at {far}: {' and '.join(flat) or 'none'}; centred best: {centred}.")
    most = found["sigmoid"]["most"]
    print(f"The slopes of 10 sigmoid layers, weights aside, leave at most {most:g}^10 = {most**10:.2g} of a gradient.")

    rest = [name for name in ACTIVATIONS if name not in SATURATING]
    for title, names in (("saturating", SATURATING), ("unbounded", rest)):
        panels = {which: {name: curves[name][which] for name in names} for which in ("a", "slope")}
        figure = plots.curves(panels, xlabel="z", title=f"{title} activations")
        lesson.save(figure, args.out / f"activations_{title}.png")


def sliders(path):
    """The page: values and slopes of the chosen activations at z, and their curves."""
    controls = [
        slider("z", "input z", -6, 6, 1.5),
        slider("range", "range ±", 1, 10, 6, 0.5),
        switches("Functions", {name: name in ("sigmoid", "tanh", "ReLU", "GELU") for name in ACTIVATIONS}),
    ]
    lead = "What comes back to a neuron is multiplied by its slope. Where is it nearly 0, and how large is it at most?"
    write_page(path, "Activations and their slopes", lead, controls, ACTIVATIONS, Path(__file__).with_suffix(".js"))


if __name__ == "__main__":
    lesson.run(main)
