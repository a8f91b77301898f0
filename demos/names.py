"""Names, letter by letter: which letter comes next in a function's name, by counts, by gradients, and by an MLP.

A bigram model looks at one letter, and says how often each letter comes after it: it can be counted. Gradient descent
on the surprise at the letters that come finds the same table, and it still works where counting does not: after four
letters there are 614,656 cases, most of which are never seen. So the MLP (Bengio, Ducharme, Vincent & Jauvin 2003)
describes each letter by a few numbers that it learns, and what it learns of one letter holds for its neighbours.
Read on in Karpathy's makemore, whose course this is. The names are those of the functions in Python's own library.
Run it with `python demos/names.py`; `--numbers 10` surprises less, but only two numbers can be drawn.
"""

import math
import re
import sysconfig
from pathlib import Path

import lesson
import numpy as np

from tinygrad_edu import Tensor, functional as F, manual_seed, nn, no_grad, optim, plots

LETTERS = ".abcdefghijklmnopqrstuvwxyz_"  # the dot stands before and after a name
GROUPS = {"vowel": "aeiouy", "consonant": "bcdfghjklmnpqrstvwxz", "_ and the end": "_."}


def read_names(folder):
    """The names of functions in the files of a folder and of the folders in it, each of them once, in order."""
    names = set()
    for path in [*folder.glob("*.py"), *folder.glob("*/*.py")]:
        if not re.search("packages|test", path.parent.name):  # which differ from machine to machine
            text = path.read_text(encoding="utf-8", errors="ignore")
            names |= {name.strip("_") for name in re.findall(r"\bdef ([a-z_]{3,20})\(", text)}
    return sorted(name for name in names if len(name) > 2)


def examples(names, context):
    """Letters as numbers: (n, context) that came before, and (n,) the one that came."""
    lines = [[0] * context + [LETTERS.index(c) for c in name] + [0] for name in names]
    pieces = np.array([line[i : i + context + 1] for line in lines for i in range(len(line) - context)])
    return pieces[:, :-1], pieces[:, -1]


def count(before, after):
    """Logarithms of how often each letter comes after each other one; one more each, so that none is impossible."""
    table = np.ones((len(LETTERS), len(LETTERS)))
    np.add.at(table, (before[:, -1], after), 1)
    return np.log(table / table.sum(1, keepdims=True))


def descend(before, after, steps):
    """The same table by gradient descent from zeros, on all examples at once, and the losses on the way."""
    table = Tensor(np.zeros((len(LETTERS), len(LETTERS)), np.float32))
    rows, optimizer = F.one_hot(before[:, -1], len(LETTERS)).astype(np.float32), optim.Adam([table], lr=0.2)
    return table.data, [step(F.cross_entropy(rows @ table, after), optimizer) for _ in range(steps)]


def step(loss, optimizer):
    """One step of training; returns the loss before it."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def learn(model, before, after, steps, rng):
    """Trains a network on batches of 64, with a rate that falls to 0; the losses on the way."""
    optimizer, losses = optim.Adam(model.parameters(), lr=0.01), []
    schedule = optim.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = rng.integers(len(after), size=64)
        losses.append(step(F.cross_entropy(model(before[rows]), after[rows]), optimizer))
        schedule.step()
    return losses


def invent(model, context, rng, number=8, longest=20):
    """Names that a model makes up: from the dot on, letter after letter, to the next dot."""
    names = []
    for _ in range(number):
        letters = [0] * context
        while len(letters) < context + longest and (len(letters) == context or letters[-1]):
            p = F.softmax(model(np.array([letters[-context:]]))[0].astype(np.float64))
            letters.append(int(rng.choice(len(p), p=p)))
        names.append("".join([LETTERS[i] for i in letters]).strip("."))
    return "  ".join(names)


def main(argv=None):
    parser, size = lesson.parser(__doc__), lesson.integer(1, most=10_000)
    parser.add_argument("--context", type=lesson.integer(1, most=20), default=4, help="letters that the MLP looks at")
    parser.add_argument("--numbers", type=lesson.integer(2, most=1000), default=2, help="that describe a letter")
    parser.add_argument("--hidden", type=size, default=100, help="hidden units")
    parser.add_argument("--steps", type=lesson.integer(1), default=8000, help="of the MLP")
    args = parser.parse_args(argv)
    manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    names = read_names(Path(sysconfig.get_path("stdlib")))
    if len(names) < 100:
        raise ValueError(f"only {len(names)} functions in the files of Python's library; this Python has it elsewhere")
    rng.shuffle(names)
    cut = len(names) // 10
    (before, after), (new_before, new_after) = examples(names[cut:], args.context), examples(names[:cut], args.context)
    print(f"{len(names):,} names, such as {', '.join(sorted(names[:4]))}; {cut} of them are kept for the test")

    counted = count(before, after)
    learned, table_losses = descend(before, after, 200)
    mlp = nn.Sequential(
        nn.Embedding(len(LETTERS), args.numbers),  # (n, context) -> (n, context, numbers)
        nn.Flatten(),
        nn.Linear(args.context * args.numbers, args.hidden),
        nn.Tanh(),
        nn.Linear(args.hidden, len(LETTERS)),
    )
    mlp_losses = learn(mlp, before, after, args.steps, rng)
    models = {
        "no preference": lambda x: np.zeros((len(x), len(LETTERS))),
        "bigrams, counted": lambda x: counted[x[:, -1]],
        "bigrams, by gradients": lambda x: learned[x[:, -1]],
        f"MLP after {args.context} letters": no_grad()(lambda x: mlp(x).data),
    }
    print("surprise at a letter     training    test  a choice of so many letters")
    for name, model in models.items():
        seen, unseen = [F.cross_entropy(model(x), y).item() for x, y in ((before, after), (new_before, new_after))]
        print(f"{name:23}  {seen:8.3f}  {unseen:6.3f}  {math.exp(unseen):8.1f}")
    apart = np.abs(F.softmax(learned) - np.exp(counted))[np.bincount(before[:, -1], minlength=len(LETTERS)) > 500].max()
    print(
        f"\nThe two tables of bigrams differ by at most {apart:.3f} after letters seen 500 times. Names they make up:"
    )
    for name, model in models.items():
        print(f"{name:23}  {invent(model, args.context, rng)}")

    every = max(1, args.steps // 100)
    smooth = np.array(mlp_losses[: len(mlp_losses) // every * every]).reshape(-1, every).mean(1)
    losses = {
        "bigrams, by gradients": table_losses,
        "MLP": smooth,
        "bigrams, counted": [F.cross_entropy(counted[before[:, -1]], after)] * 2,
    }
    lines = {name: (np.linspace(0, 1, len(seen)), seen) for name, seen in losses.items()}
    figure = plots.curves({"": lines}, xlabel="share of the steps", ylabel="surprise at a letter")
    lesson.save(figure, args.out / "names_loss.png")
    groups = {letter: group for group, letters in GROUPS.items() for letter in letters}
    places = {letter: place[None, :2] for letter, place in zip(LETTERS, mlp[0].weight.data, strict=True)}
    title = "What the MLP has learned of the letters: two numbers for each"
    figure = plots.scatter({"": places}, groups=groups, title=title, xlabel="first number", ylabel="second number")
    lesson.save(figure, args.out / "names_embedding.png")


if __name__ == "__main__":
    lesson.run(main)
