# %% [markdown]
# # 8. From bigrams to attention
#
# A language model answers one question: which letter comes next? In this class we count pairs of letters, find the
# same table by gradient descent, see why counting ends after a few letters, and let every letter choose what it looks
# back at. You write attention by hand, and see what it is worth. The texts are the names of the functions in Python's
# own library.
#
# You know softmax and cross-entropy (4), training (5) and gradients that add up (2).

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import os
import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
from ipywidgets import FloatSlider, IntSlider, interact

from tinygrad_edu import Tensor, functional as F, manual_seed, nn, no_grad, optim, plots
from tinygrad_edu.teach import check, check_gradients, score

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))  # a small setting, for tests

# %% [markdown]
# ## Counting
#
# The data first: names of functions, of small letters and `_`. A tenth of them is kept for the test.

# %%
names, library = set(), Path(sysconfig.get_path("stdlib"))
for path in [*library.glob("*.py"), *library.glob("*/*.py")]:
    if not re.search("packages|test", path.parent.name):
        text = path.read_text(encoding="utf-8", errors="ignore")
        names |= {name.strip("_") for name in re.findall(r"\bdef ([a-z_]{3,20})\(", text)}

names = sorted(name for name in names if len(name) > 2)
np.random.default_rng(0).shuffle(names)
test, training = names[: len(names) // 10], names[len(names) // 10 :]
print(f"{len(names):,} names, such as {', '.join(training[:6])}")

# %% [markdown]
# A model takes numbers. Each letter becomes its place in `LETTERS`, and a dot stands before and after each name.

# %%
LETTERS = ".abcdefghijklmnopqrstuvwxyz_"
N = len(LETTERS)


def pairs(names):
    """Each letter and the one that comes after it, as numbers: (n,) and (n,)."""
    lines = [[LETTERS.index(letter) for letter in f".{name}."] for name in names]
    return np.concatenate([line[:-1] for line in lines]), np.concatenate([line[1:] for line in lines])


before, after = pairs(training)
print([f"{LETTERS[a]}{LETTERS[b]}" for a, b in zip(*pairs(["eval"]), strict=True)])

# %% [markdown]
# **Predict.** With which letter do most names begin? What comes after *q*, and how often? Write your guesses down. The
# next cell counts.

# %%
counts = np.ones((N, N))  # one more for each pair, so that none is impossible
np.add.at(counts, (before, after), 1)
shares = counts / counts.sum(axis=1, keepdims=True)
for letter in ".qe_":
    row = shares[LETTERS.index(letter)]
    print(f"after {letter} comes", ", ".join([f"{LETTERS[i]} {row[i]:.0%}" for i in row.argsort()[:-4:-1]]))

# %%
rows = list(".aeinostuq_")
percent = 100 * shares[[LETTERS.index(letter) for letter in rows]]
plots.table(percent, rows, list(LETTERS), fmt="{:.0f}", ylabel="after this letter", xlabel="this one, in percent")

# %% [markdown]
# How good is such a table? It gave a share p to the letter that came, and −ln p says how surprised it was: 0 at p = 1,
# 0.69 at ½, 2.3 at a tenth. The mean over all letters is the loss.

# %% [markdown]
# **Exercise 1.** Write this mean.


# %% nbgrader={"grade": false, "grade_id": "bigrams-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def surprise(p):
    """The mean surprise at letters that were given the shares p, shape (n,)."""
    ### BEGIN SOLUTION
    return -np.log(p).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bigrams-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(surprise(np.array([0.1])), 2.302585, hint="minus the natural logarithm of the share: −ln 0.1 = 2.3")
check(surprise(np.array([0.5, 0.5, 1.0])), 0.462098, hint="the mean over all letters, not the sum")
### BEGIN HIDDEN TESTS
check(surprise(np.array([0.7, 0.2, 0.1, 0.25])), 1.413748)
### END HIDDEN TESTS

# %% [markdown]
# `F.cross_entropy` computes the same from logits, the logarithms of shares up to a constant.
#
# **Predict.** Without a preference all 28 letters have the same share. What is the loss then?

# %%
test_before, test_after = pairs(test)
for name, logits in {"no preference": np.zeros((N, N)), "bigrams, counted": np.log(shares)}.items():
    loss = F.cross_entropy(logits[test_before], test_after).item()
    print(f"{name:18} surprise {loss:.3f}, as a choice of {np.exp(loss):4.1f} letters")

# %% [markdown]
# ## The same table by gradient descent
#
# Now nobody counts. A table of scores starts at 0, and each step makes the letters that came less surprising. One word
# shows all of it: *banana*, with 4 letters and 7 pairs.

# %%
KNOWN = ".abn"
came = np.array([KNOWN.index(letter) for letter in ".banana"])
then = np.array([KNOWN.index(letter) for letter in "banana."])
table = Tensor(np.zeros((4, 4)), name="table")
loss = F.cross_entropy(table[came], then)
loss.graph(mode="forward", title="banana: a row of the table for each letter that came")

# %% [markdown]
# **Predict.** After *a* came *n*, *n* and the end. All scores are 0, so every share is ¼. Which of the four scores of
# row *a* should rise, which should fall, and does any row have a gradient of 0?

# %% [markdown]
# **Exercise 2.** Write the gradient of the table by hand. A pair adds to the row of the letter that came: the shares
# p of this row, minus 1 at the letter that came then. The loss is a mean over the pairs.


# %% nbgrader={"grade": false, "grade_id": "bigrams-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_of_table(p, came, then):
    """What a mean cross-entropy says to a table of scores, whose softmax of each row is p: the shape of p."""
    ### BEGIN SOLUTION
    gradient = np.zeros_like(p)
    for row, letter in zip(came, then, strict=True):
        gradient[row] += p[row]
        gradient[row, letter] -= 1
    return gradient / len(came)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bigrams-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
table.grad = gradient_of_table(F.softmax(table).data, came, then)
check_gradients(loss, hint="each pair adds p to the row of its letter, and −1 where the next one stands; n pairs, 1/n")
### BEGIN HIDDEN TESTS
check(
    gradient_of_table(np.array([[0.5, 0.5], [0.8, 0.2]]), np.array([1, 1]), np.array([0, 1])),
    np.array([[0.0, 0.0], [0.3, -0.3]]),
)
### END HIDDEN TESTS

# %% [markdown]
# The picture marks what stands in `.grad`. A row adds up to (how often its letter came) · p − (counts), divided by 7.
# That is 0 exactly where p is the counted share: descent ends at the table that was counted.

# %%
loss.graph(gradients="grad", title="banana: is the gradient right?")

# %%
table, losses = Tensor(np.zeros((N, N), np.float32), name="table"), []
optimizer = optim.Adam([table], lr=0.2)
for _ in range(20 if QUICK else 200):
    loss = F.cross_entropy(table[before], after)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

often = np.bincount(before, minlength=N) > 500
apart = np.abs(F.softmax(table) - shares)[often].max()
print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last")
print(f"after letters seen 500 times the two tables differ by at most {apart:.3f}")

# %%
counted = [F.cross_entropy(np.log(shares)[before], after).item()] * 2
plots.curves(
    {"": {"by gradients": (range(len(losses)), losses), "counted": ([0, len(losses)], counted)}},
    xlabel="step",
    ylabel="surprise at a letter",
)

# %% [markdown]
# A model that guesses can also write: draw a letter from its row, go to the row of this letter, and so on to the dot.
# The scores are divided by a *temperature* first. **Predict:** what does a low one do, and what a high one?


# %%
def invent(temperature, seed):
    """Prints names that the table makes up."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        letters = [0]
        while len(letters) == 1 or (letters[-1] and len(letters) < 20):
            p = F.softmax(table.data[letters[-1]].astype(np.float64) / temperature)
            letters.append(int(rng.choice(N, p=p)))
        print("".join([LETTERS[i] for i in letters]).strip("."), end="  ")


_ = interact(invent, temperature=FloatSlider(1.0, min=0.1, max=3.0), seed=IntSlider(1, 0, 20))

# %% [markdown]
# ## Why not count longer contexts?
#
# One letter back is little. Nothing keeps us from counting what comes after two letters, or six. **Predict:** how does
# the surprise at the training names change with the number of letters, and how that at the test names?


# %%
def after_contexts(names, length):
    """What stands before each letter of the names, dots where a name has not begun, and the letter: pairs of texts."""
    lines = [f"{'.' * length}{name}." for name in names]
    return [(line[i - length : i], line[i]) for line in lines for i in range(length, len(line))]


# %%
print("letters  possible cases    seen  surprise: training   test")
for length in range(1, 7):
    seen = after_contexts(training, length)
    often, of_context = Counter(seen), Counter(context for context, _ in seen)
    row = []
    for cases in (seen, after_contexts(test, length)):
        row.append(np.mean([-np.log((often[case] + 1) / (of_context[case[0]] + N)) for case in cases]))
    print(f"{length:7}  {N**length:14,}  {len(of_context):6,}  {row[0]:18.3f}  {row[1]:5.3f}")

# %% [markdown]
# Up to three letters it helps. After that most cases were seen never or once, and a count cannot know that two contexts
# are alike. So describe the letters by vectors, and *mix* those of the past: contexts that are alike have mixes that are
# close.

# %% [markdown]
# ## A mean of what came before
#
# The simplest mix is the mean. Row i of a matrix W says how place i mixes the rows of x, so that `W @ x` is all mixes
# at once; nobody may look ahead, or the next letter would be read and not guessed.

# %% [markdown]
# **Exercise 3.** Write W. The row of place i has equal weights for the places up to i, and 0 after it.


# %% nbgrader={"grade": false, "grade_id": "bigrams-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_weights(n):
    """Weights (n, n) with which each of n places takes the mean of itself and all places before it."""
    ### BEGIN SOLUTION
    past = np.tri(n)
    return past / past.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bigrams-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(
    mean_weights(3),
    np.array([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]]),
    hint="np.tri(n) has the ones; the weights of each row must add up to 1",
)
### BEGIN HIDDEN TESTS
check(mean_weights(5).sum(axis=1), np.ones(5))
check(mean_weights(4)[3], np.full(4, 0.25))
### END HIDDEN TESTS

# %% [markdown]
# The same weights come out of a softmax: equal scores for the past, and −∞ for what must not be seen.

# %%
mask = np.where(np.tri(4, dtype=bool), 0.0, -np.inf)
print(mask, F.softmax(mask).round(2), sep="\n\n")

# %% [markdown]
# ## Attention: scores that depend on the words
#
# Equal scores are dull: some places matter more. Let each place ask a *query* q, and each place answer with a *key* k.
# The product q · k is the score, softmax makes shares of the scores, and the *values* v are mixed with these.
#
# Here six words are vectors with a 1 for the word. A word asks for itself, `sharpness` times as loud. The library has
# attention as `F.scaled_dot_product_attention`; a little later you write it.

# %%
WORDS = ["the", "cat", "saw", "the", "other", "cat"]
known = sorted(set(WORDS))
words = np.eye(len(known))[[known.index(word) for word in WORDS]]  # (places, words known)


def look(sharpness):
    """Draws where each word looks if it asks for the same word, and may not look ahead."""
    places = np.eye(len(WORDS))  # as values: so what is heard are the weights
    weights = F.scaled_dot_product_attention(sharpness * words, words, places, is_causal=True)
    return plots.table(weights, WORDS, WORDS, ylabel="this word looks", xlabel="at this one")


# %% [markdown]
# **Predict.** Where does the second *the* look? Where does *other*, which has not come before? And what happens to
# the table if the sharpness is 0?

# %%
_ = interact(look, sharpness=FloatSlider(10.0, max=20.0, step=1.0))

# %% [markdown]
# **Exercise 4.** Write attention: scores q kᵀ / √d with d the length of a query, −∞ where a place would look ahead,
# softmax along each row, and the mix of the values.


# %% nbgrader={"grade": false, "grade_id": "bigrams-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attend(q, k, v):
    """Queries (n, d), keys (n, d) and values (n, m) -> what each place hears, (n, m)."""
    ### BEGIN SOLUTION
    scores = q @ k.T / np.sqrt(q.shape[-1])
    weights = F.softmax(np.where(np.tri(len(q), dtype=bool), scores, -np.inf))
    return weights @ v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bigrams-4-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
q, k, v = np.random.default_rng(0).normal(size=(3, 5, 4))
check(attend, lambda q, k, v: v, at=[(q[:1], k[:1], v[:1])], hint="a single place hears its own value")
heard = attend(q, k, v)
check(heard[0], v[0], hint="the first place may look at itself alone: −∞ above the diagonal, then softmax by rows")
check(
    heard,
    F.scaled_dot_product_attention(q, k, v, is_causal=True),
    hint="q @ k.T / √d: row i holds the scores of query i, and d is the length of a query",
)
### BEGIN HIDDEN TESTS
q, k, v = np.random.default_rng(1).normal(size=(3, 7, 2))
check(attend(3 * q, k, v), F.scaled_dot_product_attention(3 * q, k, v, is_causal=True))
check(attend(q, k, np.eye(7)).sum(axis=1), np.ones(7))
### END HIDDEN TESTS

# %% [markdown]
# Where do q, k and v come from? Three linear layers make them from the same x, and are learned.


# %%
class Head(nn.Module):
    """One head of attention: (..., places, width) -> the same; no place looks ahead."""

    def __init__(self, width):
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / np.float32(np.sqrt(q.shape[-1]))
        self.weights = F.softmax(np.where(np.tri(x.shape[-2], dtype=bool), scores, -np.inf))
        return self.weights @ v


manual_seed(0)
Head(4).graph(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), depth=1, title="a head of attention")

# %% [markdown]
# ## Why divide by √d?
#
# A product of d random numbers with d others has a spread of √d. **Predict:** what does softmax make of large scores,
# and what is left of the gradient that goes back through it?


# %%
def passed(d, scaled, keys=16, tries=200):
    """Of random queries and keys: spread of the scores, largest weight, size of the gradient that softmax passes on."""
    rng = np.random.default_rng(0)
    q, k, g = rng.normal(size=(tries, 1, d)), rng.normal(size=(tries, keys, d)), rng.normal(size=(tries, 1, keys))
    scores = Tensor(q @ k.swapaxes(1, 2) / (np.sqrt(d) if scaled else 1.0))
    weights = F.softmax(scores)
    weights.backward(g)
    return scores.data.std(), weights.data.max(axis=-1).mean(), np.linalg.norm(scores.grad, axis=-1).mean()


# %%
lengths, sizes = (1, 4, 16, 64, 256, 1024), {}
for label, scaled in (("as they are", False), ("divided by √d", True)):
    rows = [passed(d, scaled) for d in lengths]
    sizes[label] = lengths, [gradient for *_, gradient in rows]
    for d, (spread, largest, gradient) in zip(lengths, rows, strict=True):
        print(f"{label:13}  d = {d:4}  spread {spread:5.2f}  largest weight {largest:.2f}  gradient {gradient:.3f}")

plots.curves({"what softmax passes on": sizes}, xlabel="length d", xscale="log", yscale="log", markers=True)

# %% [markdown]
# With large scores one weight is nearly 1 and the others nearly 0: there softmax is flat, and queries and keys learn
# nothing more.

# %% [markdown]
# **Exercise 5.** For those who are ahead: which gradient passes through softmax? If g arrives at the shares p, a score
# gets p · (g − mean of g), where the mean is weighted by the shares. Write it for rows.


# %% nbgrader={"grade": false, "grade_id": "bigrams-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax_backward(p, g):
    """The gradient of scores (..., n) from that of their shares: p and g have this shape."""
    ### BEGIN SOLUTION
    return p * (g - (p * g).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bigrams-5-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
scores, g = Tensor(np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), name="scores"), np.array([[1.0, 0, 0], [0, 2, 1]])
p = F.softmax(scores)
p.backward(g)
check(
    softmax_backward,
    lambda p, g: scores.grad,
    at=[(p.data, g)],
    hint="subtract Σ p g of the row (keepdims=True): raising all scores of a row changes nothing",
)
### BEGIN HIDDEN TESTS
check(softmax_backward(np.array([0.5, 0.25, 0.25]), np.array([1.0, 1.0, 1.0])), np.zeros(3))
### END HIDDEN TESTS

# %% [markdown]
# ## What is it worth?
#
# Back to the names. All get rows of the same length. The places after a name have no next letter: −100 tells the loss
# to leave them out.


# %%
LONGEST = 1 + max(map(len, names))  # with the dot


def rows_of(names):
    """Letters and next letters of each name: (names, LONGEST) and the same."""
    x, y = np.zeros((len(names), LONGEST), int), np.full((len(names), LONGEST), -100)
    for row, name in enumerate(names):
        codes = [LETTERS.index(letter) for letter in f".{name}."]
        x[row, : len(codes) - 1], y[row, : len(codes) - 1] = codes[:-1], codes[1:]
    return x, y


x, y = rows_of(training)
test_x, test_y = rows_of(test)

# %% [markdown]
# The model adds to each letter's vector, if it may, a vector for its place, what a head hears, and what an MLP makes of
# the sum. With none of them it is a table of bigrams, and the question is always the same: which letter comes next?


# %%
def vectors(rows, width):
    """A table of vectors that are short at first, so that what is added to them counts."""
    table = nn.Embedding(rows, width)
    nn.init.normal(table.weight, std=0.1)
    return table


# %%
class Model(nn.Module):
    """Letters as numbers, (n, places) -> logits of the next one at each place, (n, places, letters)."""

    def __init__(self, places, heads, mlps, width=32):
        self.letter = vectors(N, width)
        self.place = vectors(LONGEST, width) if places else None
        self.head = Head(width) if heads else None
        self.mlp = nn.MLP([width, 4 * width, width]) if mlps else None
        self.out = nn.Linear(width, N)

    def forward(self, letters):
        x = self.letter(letters)
        if self.place is not None:
            x = x + self.place(np.arange(letters.shape[1]))
        for part in (self.head, self.mlp):
            x = x if part is None else x + part(x)
        return self.out(x)


# %% [markdown]
# **Predict.** What helps more: to know the place, or to look back? Both together? And does an MLP help that looks at
# one place only?


# %%
def train(model, steps=40 if QUICK else 1500):
    """Trains on 64 names a step, with a rate that falls to 0; returns the surprise at a letter of the test names."""
    rng, optimizer = np.random.default_rng(0), optim.Adam(model.parameters(), lr=0.01)
    schedule = optim.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        some = rng.integers(len(x), size=64)
        loss = F.cross_entropy(model(x[some]), y[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with no_grad():
        return F.cross_entropy(model(test_x), test_y).item()


# %%
variants = {
    "letter": (False, False, False),
    "letter, place": (True, False, False),
    "letter, head": (False, True, False),
    "letter, place, head": (True, True, False),
    "letter, place, head, MLP": (True, True, True),
}
for name, parts in variants.items():
    manual_seed(0)
    model = Model(*parts)
    loss, size = train(model), sum(p.size for p in model.parameters())
    print(f"{name:24}  {size:6,} parameters  surprise {loss:.3f}, as a choice of {np.exp(loss):4.1f} letters")

# %% [markdown]
# The MLP can tell one mix from another, and with it the model guesses better than counts of any length.

# %% [markdown]
# Where does the trained head look? In each row, the letter on the left looks at those up to itself.
#
# **Predict.** If you were the head, which letter would you ask for?

# %%
name = ".get_encoding"
with no_grad():
    model(np.array([[LETTERS.index(letter) for letter in name]]))
plots.table(model.head.weights[0], list(name), list(name), ylabel="this letter looks", xlabel="at this one")

# %% [markdown]
# Nobody told it, but most letters look at the one before them. Letters, places, a head, an MLP, each added to the sum:
# the next class puts several heads side by side, and such blocks on top of each other. That is a GPT.

# %%
score()
