# %% [markdown]
# # 9. A GPT
#
# A GPT guesses the next letter from all letters before it, again and again, and so it writes. In this class we put its
# parts together: vectors for letters and places, heads of attention side by side, an MLP, norms, and additions around
# them. We find out what each part is good for, train for a minute on the help texts that come with Python, and let it
# write. The large ones differ in size and text.
#
# You know attention (8), vanishing gradients and norms (6), and training (5).

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import os
import zlib
from pydoc_data.topics import topics

import numpy as np
from ipywidgets import FloatSlider, IntSlider, interact

from tinygrad_edu import Tensor, functional as F, manual_seed, nn, no_grad, optim, plots
from tinygrad_edu.teach import check, score

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))  # a small setting, for tests

# %% [markdown]
# ## Text as numbers
#
# 95 letters and signs and the end of a line; what is not among them is left out. The last tenth is kept for the test.

# %%
LETTERS = "".join([chr(i) for i in range(32, 127)]) + "\n"


def encode(text):
    """A text as numbers of letters."""
    return np.array([LETTERS.index(letter) for letter in text if letter in LETTERS], np.int64)


text = "\n".join(topics.values())
data = encode(text)
training, test = np.split(data, [int(0.9 * len(data))])
print(f"{len(data):,} letters, for example:\n{topics['while'][:400]}")

# %% [markdown]
# A model learns from pieces of `context` letters. At each place of a piece it guesses the next letter, so a piece of 64
# letters asks 64 questions at once.

# %% [markdown]
# **Exercise 1.** Cut pieces x out of the data, and what should be guessed at each of their places, y.


# %% nbgrader={"grade": false, "grade_id": "gpt-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pieces(data, starts, context):
    """Pieces that begin at `starts` (n,), and the right answers at each of their places: (n, context) and the same."""
    ### BEGIN SOLUTION
    places = starts[:, None] + np.arange(context)
    return data[places], data[places + 1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gpt-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
digits, starts = np.array([3, 1, 4, 1, 5, 9, 2, 6]), np.array([0, 3])
right = np.array([[3, 1, 4, 1], [1, 5, 9, 2]]), np.array([[1, 4, 1, 5], [5, 9, 2, 6]])
hint = "one row for each start, `context` letters long; the answer at each place is the letter after it"
check(pieces, lambda data, starts, context: right, at=[(digits, starts, 4)], hint=hint)
### BEGIN HIDDEN TESTS
x, y = pieces(np.arange(100) ** 2, np.array([5, 50, 90]), 7)
check(x, np.stack([np.arange(5, 12), np.arange(50, 57), np.arange(90, 97)]) ** 2)
check(y, np.stack([np.arange(6, 13), np.arange(51, 58), np.arange(91, 98)]) ** 2)
### END HIDDEN TESTS

# %% [markdown]
# ## A block
#
# Each place is a vector x. A block adds two things to it: what the heads of attention hear from the places before, and
# what an MLP makes of the place itself. A norm stands before each.


# %%
class Block(nn.Module):
    """Attention, then an MLP at each place, each of them adding to x: (n, places, width) -> the same."""

    def __init__(self, width, heads):
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x, maps=None):
        y = self.norm1(x)
        y, weights = self.attention(y, y, y, is_causal=True, average_attn_weights=False, need_weights=maps is not None)
        if maps is not None:
            maps.append(weights.data)
        x = x + y
        return x + self.mlp(self.norm2(x))


# %% [markdown]
# **Predict.** How many ways lead from x through a block to its end? Find the additions: a wire goes past each part.

# %%
manual_seed(0)
block, x = Block(8, heads=2), Tensor(np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32), name="x")
block.graph(x, depth=1, style="compact", title="a block")

# %% [markdown]
# Four: through attention or past it, then through the MLP or past it. The gradient comes back on all of them, and on
# the way past both parts it arrives unchanged.

# %% [markdown]
# **Exercise 2.** Why is it added? Take numbers for vectors, and let each part have the slope s. Without the addition a
# part is f(x), with it x + f(x). Which slope have n parts one after the other, with the addition and without?


# %% nbgrader={"grade": false, "grade_id": "gpt-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slopes(s, n):
    """Two slopes of n parts in a row, each of slope s: with the addition around each part, and without."""
    ### BEGIN SOLUTION
    return (1 + s) ** n, s**n
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gpt-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(
    slopes(0.5, 4),
    (5.0625, 0.0625),
    hint="x + f(x) has the slope 1 + s, and the slopes of parts in a row are multiplied",
)
### BEGIN HIDDEN TESTS
check(slopes(-0.25, 3), (0.421875, -0.015625))
### END HIDDEN TESTS

# %% [markdown]
# **Exercise 3.** How many parameters has a block? Attention has four linear layers of `width` to `width` (query, key,
# value, and one that mixes the heads), the MLP one to 4 · `width` and one back, and each of the two norms a scale and a
# shift. All layers have biases.


# %% nbgrader={"grade": false, "grade_id": "gpt-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def block_parameters(width):
    """The number of parameters of a block."""
    ### BEGIN SOLUTION
    attention = 4 * (width * width + width)
    mlp = (width * 4 * width + 4 * width) + (4 * width * width + width)
    norms = 2 * (width + width)
    return attention + mlp + norms
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gpt-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(
    block_parameters(10),
    sum(p.size for p in Block(10, heads=2).parameters()),
    hint="12 width² for the matrices, a bias for each output of a layer, and 2 width for each norm",
)
### BEGIN HIDDEN TESTS
check(block_parameters(64), 49_984)
### END HIDDEN TESTS

# %% [markdown]
# The matrices make 12 · width² a block, whatever the number of heads. GPT-2 has 12 blocks of width 768, 1024 places,
# and 50,257 pieces of words in the place of letters (its head shares their table). **Predict** its size in millions.

# %%
width, blocks = 768, 12
block = 12 * width**2 + 13 * width
print(f"a block {block:,}; GPT-2 {blocks * block + (50_257 + 1024) * width + 2 * width:,}")

# %% [markdown]
# ## The whole
#
# Vectors of letters and places are added. The blocks do the work, and at the end a linear layer asks at each place:
# which letter comes next?


# %%
class GPT(nn.Module):
    """Letters as numbers, (n, places), to logits of the next one at each place, (n, places, letters)."""

    def __init__(self, letters, context, width, heads, layers):
        self.context = context
        self.letter, self.place = nn.Embedding(letters, width), nn.Embedding(context, width)
        for embedding in (self.letter, self.place):
            nn.init.normal(embedding.weight, std=0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, letters, maps=None):
        x = self.letter(letters) + self.place(np.arange(letters.shape[1]))
        for block in self.blocks:
            x = block(x, maps)
        return self.head(self.norm(x))


# %% [markdown]
# ## Nobody looks ahead
#
# **Predict.** We change one letter of a text, the *v*. At which places do the logits change?

# %%
manual_seed(0)
small = GPT(len(LETTERS), context=16, width=32, heads=4, layers=2)
one, other = encode("the value of x"), encode("the Value of x")
with no_grad():
    moved = np.abs(small(one[None]) - small(other[None])).max(axis=-1)[0]

print("the value of x")
print("".join(["^" if size > 0 else "." for size in moved]))

# %% [markdown]
# The places before it know nothing of it: the mask keeps each from seeing its own answer.

# %% [markdown]
# ## Before training
#
# **Predict.** The loss of a model that has learned nothing, with 96 letters to choose from. And what does it write?

# %%
CONTEXT, WIDTH, HEADS, LAYERS = (32, 32, 4, 2) if QUICK else (64, 64, 4, 3)
manual_seed(0)
model = GPT(len(LETTERS), CONTEXT, WIDTH, HEADS, LAYERS)
windows = np.lib.stride_tricks.sliding_window_view(training, CONTEXT + 1)
test_windows = np.lib.stride_tricks.sliding_window_view(test, CONTEXT + 1)


def surprise(model, windows):
    """The loss of a model on some windows: pieces of text and the letter after."""
    return F.cross_entropy(model(windows[:, :-1]), windows[:, 1:])


with no_grad():
    print(f"loss {surprise(model, test_windows[::400]).item():.3f}, and ln {len(LETTERS)} = {np.log(len(LETTERS)):.3f}")


# %% [markdown]
# A guess without a preference has ln 96. The loss is larger: the first logits are random, so that the model prefers some
# letters without a reason.


# %%
@no_grad()
def write(model, length=300, prompt="The ", temperature=0.8, seed=0):
    """What the model writes after the prompt."""
    rng, letters = np.random.default_rng(seed), list(encode(prompt))
    for _ in range(length):
        logits = model(np.array([letters[-model.context :]])).data[0, -1]
        p = F.softmax(logits / temperature).astype(np.float64)
        letters.append(rng.choice(len(p), p=p / p.sum()))
    return "".join([LETTERS[i] for i in letters])


print(write(model, 150))

# %% [markdown]
# ## Which part would you miss most?
#
# We can silence a part: its numbers are 0 and stay 0, so that it adds nothing. **Predict** an order: which loss is the
# worst after a short training, without attention, without the MLPs, or without the vectors of the places?


# %%
def parts(model):
    """Which parameters silence which part."""
    attentions, mlps = [b.attention.out_proj for b in model.blocks], [b.mlp[2] for b in model.blocks]
    return {
        "nothing": [],
        "the places": [model.place.weight],
        "the MLPs": [p for layer in mlps for p in layer.parameters()],
        "attention": [p for layer in attentions for p in layer.parameters()],
        "attention and MLPs": [p for layer in attentions + mlps for p in layer.parameters()],
    }


# %%
def train(model, steps, batch=16, lr=2e-3):
    """Trains on pieces of the text; returns the losses on the way."""
    rng, losses = np.random.default_rng(0), []
    optimizer = optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.1)
    warm_up = max(1, steps // 20)
    falling = optim.CosineAnnealingLR(optimizer, max(1, steps - warm_up))
    schedule = optim.LinearWarmup(optimizer, warm_up, then=falling)
    for _ in range(steps):
        loss = surprise(model, windows[rng.integers(len(windows), size=batch)])
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %%
for name in parts(small):
    manual_seed(0)
    silenced = GPT(len(LETTERS), CONTEXT, 32, 4, 2)
    for parameter in parts(silenced)[name]:
        parameter.assign(np.zeros(parameter.shape))
        parameter.requires_grad = False
    train(silenced, 20 if QUICK else 600, lr=5e-3)
    with no_grad():
        print(f"without {name:18}  {surprise(silenced, test_windows[::200]).item():.3f}")

# %% [markdown]
# Without attention each letter is on its own, and MLPs do not help it: what is left is about a table of bigrams.

# %%
counts = np.ones((len(LETTERS), len(LETTERS)))
np.add.at(counts, (training[:-1], training[1:]), 1)
logits = np.log(counts / counts.sum(axis=1, keepdims=True))
print(f"bigrams, counted: {F.cross_entropy(logits[test[:-1]], test[1:]).item():.3f}")

# %% [markdown]
# ## Training
#
# Now the larger one. The rate rises over the first steps and then falls to 0, and large gradients are clipped.

# %%
print(f"{sum(p.size for p in model.parameters()):,} parameters")
losses = train(model, 20 if QUICK else 1500)
with no_grad():
    print(f"loss {np.mean(losses[-50:]):.3f}, on the test text {surprise(model, test_windows[::100]).item():.3f}")

# %%
near = len(losses) // 20
smooth = np.convolve(losses, np.ones(near) / near, "valid")
plots.curves({"surprise at a letter": {"training": (range(len(smooth)), smooth)}}, xlabel="step")

# %%
print(write(model))

# %% [markdown]
# ## A model is a compressor
#
# A surprise of ln 2 is one bit, as much as a coin says. What surprises less takes fewer bits to write down.

# %% [markdown]
# **Exercise 4.** How many bytes of 8 bits does a text take, if its letters surprise by `loss` on average?


# %% nbgrader={"grade": false, "grade_id": "gpt-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def size_in_bytes(loss, letters):
    """The bytes that a text of so many letters takes; loss is the mean of −ln p."""
    ### BEGIN SOLUTION
    bits = letters * loss / np.log(2)
    return bits / 8
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gpt-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(size_in_bytes(np.log(2), 8), 1.0, hint="a surprise of ln 2 is one bit a letter, and 8 bits are a byte")
check(size_in_bytes(2.0, 1000), 360.673760, hint="how many times ln 2 is in the loss, for each letter, over 8")
### BEGIN HIDDEN TESTS
check(size_in_bytes(np.log(96), 46_448), 38_232.2923)
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** zlib, which packs zip files, has not seen the training text. Which is smaller for the test text, what zlib
# makes of it, or what the model makes possible?

# %%
packed = zlib.compress("".join([LETTERS[i] for i in test]).encode(), 9)
with no_grad():
    loss = surprise(model, test_windows[::100]).item()

print(f"{len(test):,} letters; zlib {len(packed):,} bytes, the model {len(test) * loss / np.log(256):,.0f}")

# %% [markdown]
# ## Temperature
#
# The logits are divided by a temperature before the softmax: 0.8 until now. **Predict:** what does the model write at a
# higher one, and what at one close to 0?


# %%
def show(temperature, seed, prompt):
    print(write(model, 300, prompt, temperature, seed))


slider = FloatSlider(1.2, min=0.1, max=2.0, continuous_update=False)
_ = interact(show, temperature=slider, seed=IntSlider(0, 0, 20, continuous_update=False), prompt="The ")

# %% [markdown]
# ## Where does it look?
#
# **Predict.** What should a letter look at, to guess the one after it? Each picture is a head: what stands out in row i
# are the letters at which letter i looks. What do the heads of the first block do, and what those of the others?

# %%
sentence = "the value of the expression is the value of the name"[:CONTEXT]
with no_grad():
    model(encode(sentence)[None], maps := [])

heads = {f"block {i + 1}, head {j + 1}": m for i, block in enumerate(maps) for j, m in enumerate(block[0])}
plots.images(list(heads.values()), list(heads), title=sentence, columns=4)

# %% [markdown]
# The same for the first letters, in percent. Find a head that looks at the letter before, and one that looks at the
# beginning of the word.


# %%
def look(block, head):
    """Draws where the first 12 letters look in one head."""
    known = list(sentence[:12].replace(" ", "_"))
    weights = 100 * maps[block - 1][0, head - 1, :12, :12]
    return plots.table(weights, known, known, fmt="{:.0f}", ylabel="this letter looks", xlabel="at this one")


_ = interact(look, block=IntSlider(2, 1, LAYERS), head=IntSlider(1, 1, HEADS))

# %%
score()
