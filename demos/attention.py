"""Attention by hand: every word asks, every word answers, and softmax makes shares of the answers.

A query q asks, the keys k answer, and the products q · k say how well: softmax makes weights of them, and the result
is the mean of the values v with these weights. One head below looks at the word before, by the places; another finds
the same word elsewhere, by the words. A mask forbids to look ahead, or the next word would be read and not guessed.
Products of d random numbers grow as √d, and softmax of large numbers is nearly one-hot, where its slope is 0: Vaswani
and others (2017) divide them by √d. What goes back through softmax is p (g − Σ p g): how much better than the mean.
Run it with `python demos/attention.py`.
"""

import lesson
import numpy as np

from tinygrad_edu import Tensor, functional as F, plots

WORDS = ["the", "cat", "saw", "the", "other", "cat"]
KNOWN = sorted(set(WORDS))


def codes():
    """Each word as two one-hot vectors, for the word and for its place: (places, words known + places)."""
    words = np.eye(len(KNOWN))[[KNOWN.index(word) for word in WORDS]]
    return np.hstack([words, np.eye(len(WORDS))])


def before(sharpness):
    """Weights of a head that looks at the place before: (query, key, value), each (codes, length)."""
    n, m = len(KNOWN), len(WORDS)
    query, key, value = np.zeros((n + m, m)), np.zeros((n + m, m)), np.zeros((n + m, n))
    query[n:] = sharpness * np.eye(m, k=-1)  # place i asks for place i - 1
    key[n:] = np.eye(m)
    value[:n] = np.eye(n)
    return query, key, value


def same(sharpness):
    """Weights of a head that looks for the same word."""
    n, m = len(KNOWN), len(WORDS)
    query, key, value = np.zeros((n + m, n)), np.zeros((n + m, n)), np.zeros((n + m, m))
    query[:n] = sharpness * np.eye(n)
    key[:n] = np.eye(n)
    value[n:] = np.eye(m)
    return query, key, value


HEADS = {"the word before": before, "the same word": same}


def head(x, query, key, value, causal):
    """One head in five lines: scores, weights and results."""
    q, k, v = x @ query, x @ key, x @ value
    scores = q @ k.T / np.sqrt(q.shape[-1])
    mask = np.where(np.tri(len(x), dtype=bool), 0.0, -np.inf) if causal else 0.0
    weights = F.softmax(scores + mask)
    return scores, weights, weights @ v


def slopes(d, scaled, rng, keys=16, tries=200):
    """Products of random queries and keys: their spread, the largest weight, and the size of what softmax passes on."""
    q, k, g = rng.normal(size=(tries, 1, d)), rng.normal(size=(tries, keys, d)), rng.normal(size=(tries, 1, keys))
    scores = Tensor(q @ k.swapaxes(1, 2) / (np.sqrt(d) if scaled else 1.0))
    weights = F.softmax(scores)
    weights.backward(g)
    return scores.data.std(), weights.data.max(axis=-1).mean(), np.linalg.norm(scores.grad, axis=-1).mean()


def main(argv=None):
    parser = lesson.parser(__doc__)
    parser.add_argument("--sharpness", type=lesson.above(0, most=1000), default=10.0, help="of the two heads' queries")
    args = parser.parse_args(argv)
    x, pictures = codes(), {}
    for name, make in HEADS.items():
        for causal in (False, True):
            scores, weights, heard = head(x, *make(args.sharpness), causal)
            title = f"{name}, {'not ahead' if causal else 'anywhere'}"
            pictures |= {} if causal else {f"{name}: scores": scores / scores.max()}
            pictures[title] = weights
            print(f"{title}: weights of each word (row) for each (column)")
            print(" " * 8 + "".join([f"{word:>7}" for word in WORDS]))
            for word, row in zip(WORDS, weights, strict=True):
                print(f"{word:>8}" + "".join([f"{share:7.2f}" if share else "      ·" for share in row]))
            if make is before:
                print(f"so they hear: {' '.join([KNOWN[i] for i in heard.argmax(axis=1)])}")
            print()

    rng = np.random.default_rng(args.seed)
    print("products of d numbers         spread  largest of 16 weights  gradient that softmax passes on")
    passed = {"as they are": ([], []), "divided by √d": ([], [])}
    for d in (1, 4, 16, 64, 256, 1024):
        for label, scaled in zip(passed, (False, True), strict=True):
            spread, largest, gradient = slopes(d, scaled, rng)
            passed[label][0].append(d), passed[label][1].append(gradient)
            print(f"d = {d:5}, {label:14} {spread:13.2f} {largest:22.2f} {gradient:32.4f}")

    scores = Tensor([2.0, 1.0, 0.0], name="s")
    loss = (F.softmax(scores) * np.array([1.0, 0.0, 0.0])).sum()
    print(f"\nThe share of the first of three scores, and what it says to each of them:\n{loss.explain(scores)}")
    figure = plots.images(list(pictures.values()), list(pictures), title=" ".join(WORDS), columns=3)
    lesson.save(figure, args.out / "attention_heads.png")
    axes = {
        "xlabel": "length d of queries and keys",
        "ylabel": "size of the gradient",
        "xscale": "log",
        "yscale": "log",
    }
    figure = plots.curves(
        {"what softmax passes on": passed}, **axes, title="Why scores are divided by √d", markers=True
    )
    lesson.save(figure, args.out / "attention_scale.png")


if __name__ == "__main__":
    lesson.run(main)
