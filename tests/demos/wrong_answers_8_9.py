"""Typical wrong answers to the exercises of the notebooks 8 and 9, and what is said of them."""

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
        "shape [1×1] instead of [1×4]. Hint: a single place hears its own value",
    ),
    ("bigrams-4", "def attend(q, k, v):\n    ...", "None: no value; is a return missing"),
    (
        "bigrams-4",
        "def attend(q, k, v):\n    weights = np.where(np.tri(len(q), dtype=bool), F.softmax(q @ k.T / 2), 0)\n"
        "    return weights @ v",
        "Hint: the first place may look at itself alone: −∞ above the diagonal",
    ),
    ("bigrams-5", "def softmax_backward(p, g):\n    return p * (g - (p * g).sum(axis=-1))", "could not be broadcast"),
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
    (
        "gpt-1",
        f"def pieces(data, starts, context):\n{PLACES}    return data[places], data[places] + 1",
        "result[1] is [[",
    ),
    (
        "gpt-1",
        f"def pieces(data, starts, context):\n{PLACES}    return data[places]",
        "one value of type ndarray instead",
    ),
    (
        "gpt-1",
        "def pieces(data, starts, context):\n    return data[starts:], data[starts + 1 :]",
        "raises TypeError: only",
    ),
    ("gpt-2", "def slopes(s, n):\n    return s**n, (1 + s) ** n", "two values swapped. Hint: x + f(x) has the slope"),
    ("gpt-2", "def slopes(s, n):\n    return (1 + s) * n, s * n", "Hint: x + f(x) has the slope 1 + s"),
    (
        "gpt-3",
        "def block_parameters(width):\n    return 12 * width**2 + 9 * width",
        "Hint: 12 width² for",
    ),
    ("gpt-3", "def block_parameters(width):\n    return 12 * width**2 + 13", "1213 is not right. Hint: 12 width² for"),
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
