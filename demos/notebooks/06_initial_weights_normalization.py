# %% [markdown]
# # 6. Initial weights, vanishing gradients, normalization
#
# A network with good layers, a good loss and a good optimizer can still learn nothing, because of the numbers that it
# starts from. Today you set all weights equal, then too small, then too large, and see what each does to the signal on
# its way forward and to the gradient on its way back. Then you send a gradient through twenty layers and find out what
# is left of it, and which three inventions keep it alive.
#
# You know the chain rule (1, 2), activations (4) and training on digits (5).

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import os
from functools import partial

import numpy as np
from ipywidgets import FloatSlider, IntSlider, interact

from tinygrad_edu import Tensor, data, manual_seed, nn, optim, plots
from tinygrad_edu.teach import check, check_gradients, score
from tinygrad_edu.training import diagnose, fit

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))  # a small setting, for tests

# %% [markdown]
# ## May all weights be equal?
#
# Two hidden units, and all four weights are 0.4: y = v1 tanh(w1 x) + v2 tanh(w2 x).
#
# **Predict.** Which of the four gradients are equal?

# %%
x, target = 2.0, 1.0
w1, w2 = Tensor(0.4, name="w1"), Tensor(0.4, name="w2")
v1, v2 = Tensor(0.4, name="v1"), Tensor(0.4, name="v2")
a1, a2 = np.tanh(w1 * x), np.tanh(w2 * x)
y = v1 * a1 + v2 * a2
L = (y - target) ** 2
print(f"a1 = {a1.item():.4f}, a2 = {a2.item():.4f}, y = {y.item():.4f}, L = {L.item():.4f}")

# %% [markdown]
# **Exercise 1.** Work out the four gradients by hand, without `backward()`: the chain rule from L back to each weight.
# The slope of tanh is 1 − tanh². Write `.item()` where you need the number of a Tensor, as in `v1.item()`.

# %% nbgrader={"grade": false, "grade_id": "initial-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
to_y = 2 * (y.item() - target)  # dL/dy
v1.grad = v2.grad = w1.grad = w2.grad = None
### BEGIN SOLUTION
v1.grad = to_y * a1.item()
v2.grad = to_y * a2.item()
w1.grad = to_y * v1.item() * (1 - a1.item() ** 2) * x
w2.grad = to_y * v2.item() * (1 - a2.item() ** 2) * x
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "initial-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check_gradients(L, hint="back from y: through v · a to a, through the slope of tanh, and w · x hands w the factor x")

# %%
L.graph(gradients="grad", title="two equal units")

# %% [markdown]
# The left half and the right half are the same picture. Equal weights get equal gradients, so after any number of steps
# they are equal still: a layer of equal units is one unit.
#
# **Predict.** XOR needs two hidden units. Which of these starts learns it: all weights 0, all weights 0.5, random ones?

# %%
CORNERS, XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([[0], [1], [1], [0]], np.float32)


def learn_xor(init, steps=300):
    """Trains 2-8-1 on XOR from these initial weights: how many different units it has then, and the loss."""
    model = nn.Sequential(nn.Linear(2, 8, init=init), nn.Tanh(), nn.Linear(8, 1, init=init))
    optimizer, loss = optim.Adam(model.parameters(), lr=0.05), nn.BCEWithLogitsLoss()
    for _ in range(steps):
        value = loss(model(CORNERS), XOR)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return len(np.unique(model[0].weight.data.round(4), axis=0)), value.item()


# %%
manual_seed(0)
starts = {"zeros": nn.init.zeros, "all 0.5": partial(nn.init.constant, val=0.5), "random": nn.init.xavier_normal}
for name, init in starts.items():
    units, loss = learn_xor(init)
    print(f"{name:7}  different units: {units} of 8   loss after training: {loss:.4f}   (a guess: {np.log(2):.4f})")

# %% [markdown]
# So weights have to be random. How large?
#
# ## The size of a sum
#
# A unit adds up n products of an input and a weight.
#
# **Predict.** Inputs and weights are drawn from N(0, 1), mean 0 and standard deviation 1. How large is a sum of 100
# products: about 1, 10 or 100?

# %%
rng = np.random.default_rng(0)
for n in (1, 25, 100, 400):
    sums = (rng.normal(size=(2000, n)) * rng.normal(size=(2000, n))).sum(axis=1)
    print(f"{n:3} products: standard deviation of the sum {sums.std():5.2f}")

# %% [markdown]
# The sum grows with the *square root* of n: products of both signs cancel in part. A layer multiplies the size of its
# signal by about std · √n, and ten layers do so ten times: std · √n must be near 1.
#
# ReLU sets half of the sums to 0, which halves the mean square. Kaiming He (2015) makes up for that: the weights get
# the *variance* 2/n.

# %% [markdown]
# **Exercise 2.** The standard deviation of Kaiming's weights for a layer with `n_in` inputs and ReLU.


# %% nbgrader={"grade": false, "grade_id": "initial-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kaiming_std(n_in):
    """The standard deviation of initial weights that keeps the size of the signal before ReLU."""
    ### BEGIN SOLUTION
    return np.sqrt(2 / n_in)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "initial-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(kaiming_std(2), 1.0, hint="the 2 makes up for what ReLU sets to 0, and the root is taken of all of 2/n")
check(kaiming_std(50), 0.2, hint="2/n is the variance; the standard deviation is its square root, and falls with n")
### BEGIN HIDDEN TESTS
check(kaiming_std(512), 0.0625)
check(kaiming_std(784), 0.050507627)
### END HIDDEN TESTS

# %% [markdown]
# ## Ten layers
#
# Numbers from N(0, 1) go through ten layers of 512 units, and N(0, 1) comes back as a gradient. Nothing is trained.


# %%
def flow(std, activation=nn.Tanh, width=512, layers=10):
    """The outputs of random layers, each with its gradient."""
    rng = np.random.default_rng(0)
    x, gradient = rng.normal(size=(2, 128, width)).astype(np.float32)
    weights, outputs = partial(nn.init.normal, std=std, rng=rng), []
    for _ in range(layers):
        x = activation()(nn.Linear(width, width, init=weights, bias=False)(x))
        outputs.append(x)
    x.backward(gradient)
    return outputs


# %% [markdown]
# **Predict.** In each line, does the signal vanish, explode or keep its size? And the gradient?
#
# | activation | std of the weights | std · √512 |
# |---|---|---|
# | tanh | 0.01 | 0.23 |
# | tanh | 0.14 | 3.2 |
# | tanh | 0.074 (Xavier: 5/3 · 1/√n) | 1.7 |
# | ReLU | 0.044 (Xavier: 1/√n) | 1 |
# | ReLU | 0.0625 (Kaiming: √2 · 1/√n) | 1.4 |

# %%
TRIALS = {
    "tanh, 0.01": (0.01, nn.Tanh),
    "tanh, 0.14": (0.14, nn.Tanh),
    "tanh, Xavier": (5 / 3 / np.sqrt(512), nn.Tanh),
    "ReLU, Xavier": (1 / np.sqrt(512), nn.ReLU),
    "ReLU, Kaiming": (np.sqrt(2 / 512), nn.ReLU),
}
found = {name: flow(std, activation) for name, (std, activation) in TRIALS.items()}

# %%
print("               std of the output     near ±1    std of the gradient")
print("               layer 1  layer 10    layer 10    layer 10   layer 1")
for name, outputs in found.items():
    (first, to_first), (last, to_last) = [(o.data, o.grad) for o in (outputs[0], outputs[-1])]
    near = f"{(abs(last) > 0.9).mean():.0%}" if name.startswith("tanh") else ""
    print(f"{name:13}  {first.std():7.2g}  {last.std():8.2g}  {near:>10}  {to_last.std():10.2g}  {to_first.std():8.2g}")

# %% [markdown]
# Small weights let the signal die, and with it the gradient. Large ones drive tanh to its flat ends, near −1 and 1; and
# the gradient that gets through elsewhere is enlarged by every layer. Two starts keep both sizes. Where are they in the
# picture?


# %%
def shown(outputs):
    """The numbers of every third layer, without ReLU's zeros, up to 3 standard deviations of the widest layer."""
    arrays = [output.data for output in outputs[::3]]
    limit = 3 * max(array.std() for array in arrays)
    return [np.append(a[(abs(a) <= limit) & (a != 0)], 0) for a in arrays]


rows = {name: shown(outputs) for name, outputs in found.items()}
plots.histograms(rows, ["layer 1", "layer 4", "layer 7", "layer 10"], title="outputs (without ReLU's zeros)")

# %% [markdown]
# **Turn the slider.** Find the smallest and the largest standard deviation with which the signal of ReLU is still the
# same size, within a factor of ten, after ten layers. Is Kaiming's 0.0625 between them?


# %%
@interact(std=FloatSlider(0.05, min=0.01, max=0.15, step=0.005, readout_format=".3f", continuous_update=False))
def draw_sizes(std):
    """The standard deviation of outputs and gradients, layer by layer, of ReLU and tanh."""
    lines = {"outputs": {}, "gradients": {}}
    for name, activation in (("ReLU", nn.ReLU), ("tanh", nn.Tanh)):
        outputs = flow(std, activation)
        lines["outputs"][name] = range(1, 11), [o.data.std() for o in outputs]
        lines["gradients"][name] = range(1, 11), [o.grad.std() for o in outputs]
    return plots.curves(lines, xlabel="layer", ylabel="standard deviation", yscale="log", markers=True)


# %% [markdown]
# ## What is left of a gradient
#
# The chain rule multiplies the slopes of all layers. The slope of a sigmoid is largest at z = 0, and there it is 1/4.

# %%
x = z = Tensor(0.0, name="x")
for _ in range(3):
    z = z.sigmoid() - 0.5  # 0 again, for the next sigmoid
z.backward()
print(f"three sigmoids: dz/dx = {x.grad}")
z.graph(title="three sigmoids in a row, each at its steepest")

# %% [markdown]
# **Exercise 3.** What is left of a gradient after so many sigmoids, each at z = 0, if a weight stands before each? For
# a weight of 1 it is the product of the slopes alone. Which weight would keep the gradient?


# %% nbgrader={"grade": false, "grade_id": "initial-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def left_over(layers, weight=1.0):
    """By what a gradient is multiplied on its way back through so many layers sigmoid(weight * x) at 0."""
    ### BEGIN SOLUTION
    return (weight / 4) ** layers
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "initial-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(left_over(1), 0.25, hint="one sigmoid at z = 0 has the slope 1/4")
check(left_over(3), 0.015625, hint="slopes of layers in a row multiply: 1/4 · 1/4 · 1/4")
check(left_over(2, weight=2.0), 0.25, hint="each layer multiplies by its slope and by its weight")
### BEGIN HIDDEN TESTS
check(left_over(10, weight=4.0), 1.0)
check(left_over(5, weight=-1.0), -(0.25**5))
### END HIDDEN TESTS

# %% [markdown]
# A weight of 4 would keep it, but at z = 0 alone: large weights drive z to where the sigmoid is flat.
#
# Three ways out, and a fourth line for comparison:
#
# - **ReLU** has the slope 1 where it is not 0.
# - **Batch norm** stretches what the sigmoids have squeezed, back to standard deviation 1.
# - **Residual**, x + layer(x), adds a path with the slope 1 around each layer.
#
# **Predict.** Which of them bring a gradient back through twenty layers?

# %%
XAVIER, KAIMING = partial(nn.Linear, init="xavier_normal"), partial(nn.Linear, init="kaiming_normal")
KINDS = {
    "sigmoid": lambda n: nn.Sequential(XAVIER(n, n), nn.Sigmoid()),
    "ReLU": lambda n: nn.Sequential(KAIMING(n, n), nn.ReLU()),
    "sigmoid, batch norm": lambda n: nn.Sequential(XAVIER(n, n), nn.BatchNorm1d(n), nn.Sigmoid()),
    "sigmoid, residual": lambda n: nn.Residual(XAVIER(n, n), nn.Sigmoid()),
}


# %%
def gradient_sizes(kind, layers, width=64):
    """Root mean square of the gradient at the input, and after each of the layers."""
    manual_seed(0)
    x, gradient = np.random.default_rng(0).normal(size=(2, 128, width)).astype(np.float32)
    signals = [Tensor(x)]
    for _ in range(layers):
        signals.append(KINDS[kind](width)(signals[-1]))
    signals[-1].backward(gradient)
    return [np.sqrt(np.mean(signal.grad**2)) for signal in signals]


# %%
@interact(layers=IntSlider(20, min=1, max=30, continuous_update=False))
def draw_profiles(layers):
    """The gradient on its way back, from the last layer to the input."""
    lines = {kind: (range(layers + 1), gradient_sizes(kind, layers)) for kind in KINDS}
    for kind, (_, sizes) in lines.items():
        print(f"{kind:19}  at the input: {sizes[0] / sizes[-1]:8.2g} of the gradient at the output")
    axes = {"xlabel": "layer (0: the input)", "ylabel": "gradient", "yscale": "log"}
    return plots.curves({f"{layers} layers of 64": lines}, **axes)


# %% [markdown]
# ## Twenty layers learn, or do not
#
# **Predict.** What training loss does the deep network of sigmoids reach? (An honest guess has ln 10 = 2.303.)

# %%
source, (images, labels, *_) = data.load_digits()
count, epochs = (600, 1) if QUICK else (5000, 5)
print(f"{source}: {count:,} images")
x, y = data.normalize(images[:count]).reshape(-1, 784), labels[:count]


def deep(kind, layers=20):
    """A network of so many layers of this kind, between one that reads 784 pixels and one that gives ten scores."""
    manual_seed(0)
    return nn.Sequential(XAVIER(784, 64), *[KINDS[kind](64) for _ in range(layers)], XAVIER(64, 10))


# %%
losses = {}
for kind in KINDS:
    model, batches = deep(kind), data.DataLoader(x, y, 50, shuffle=True, seed=0)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    options = {"loss": nn.CrossEntropyLoss(), "epochs": epochs, "progress": False}
    history = fit(model, batches, optimizer=optimizer, **options)
    losses[kind] = history["epoch"], history["train_loss"]
    print(f"{kind:19}  loss {history['train_loss'][-1]:.3f}   right: {history['train_accuracy'][-1]:.1%}")
plots.curves({f"20 layers, {source}": losses}, xlabel="epoch", ylabel="training loss", markers=True)

# %% [markdown]
# `diagnose` shows where the signal is lost: `spread` is how much a unit differs from image to image.

# %%
diagnose(deep("sigmoid", layers=6), x[:200], y[:200], nn.CrossEntropyLoss())

# %% [markdown]
# ## Batch norm by hand
#
# For each unit: subtract its mean over the batch, and divide by its standard deviation over the batch. A small eps
# below the root keeps a unit that never changes from a division by 0. (The layer then has a scale and a shift that are
# learned; at the start they are 1 and 0.)

# %% [markdown]
# **Exercise 4.** Write it: out = (x − mean) / √(variance + eps).


# %% nbgrader={"grade": false, "grade_id": "initial-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batch_norm(x, eps=1e-5):
    """(batch, units) -> the same shape, where each unit has mean 0 and variance 1 over the batch."""
    ### BEGIN SOLUTION
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "initial-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
batch = np.array([[1.0, 20.0], [2.0, 60.0], [6.0, 40.0]])
layer = nn.BatchNorm1d(2, dtype=np.float64)
check(batch_norm, layer, at=[batch], hint="mean and variance run over the batch, axis 0; divide by the root")
check(batch_norm(np.ones((4, 2))), np.zeros((4, 2)), hint="a unit that never changes has variance 0: add eps first")
large_eps = nn.BatchNorm1d(2, eps=1.0, dtype=np.float64)
check(batch_norm(batch, eps=1.0), large_eps(batch), hint="the eps that is given belongs below the root")
### BEGIN HIDDEN TESTS
check(batch_norm(batch * 10 - 3, eps=1e-9), batch_norm(batch, eps=1e-9))
check(batch_norm(batch, eps=3.0)[0], [-0.72231512, -1.21791327])
### END HIDDEN TESTS

# %% [markdown]
# Your function is made of NumPy's, so it differentiates itself.
#
# **Predict.** The first example's output is pulled. Whose inputs get a gradient: only the first one's?

# %%
x = Tensor(batch, name="x")
batch_norm(x)[0, 0].backward()
print(np.round(x.grad[:, 0], 4), "adds up to", abs(x.grad[:, 0].sum().round(9)))

# %% [markdown]
# All examples of the batch got one: they share the mean and the variance. (The sum is 0, for a shift of all of them
# changes nothing.) That is the price of batch norm: in training, the answer for one example depends on its company.
#
# **Predict.** The number 1 stands in two batches. Does it get the same answer? And after `eval()`?

# %%
layer = nn.BatchNorm1d(1)
for mode in (layer.train, layer.eval):
    mode()
    answers = [layer(np.array(company, np.float32)[:, None])[0, 0].item() for company in ([1, 2, 3], [1, -5, 0])]
    print(f"{mode.__name__:5}  in company of 2 and 3: {answers[0]:6.3f}   of -5 and 0: {answers[1]:6.3f}")

# %% [markdown]
# In evaluation mode running averages take the place of the batch. A network that reads well in training and badly
# afterwards often lacks one word: `model.eval()`.
#
# ## What to take home
#
# 1. Equal weights stay equal; random ones part the units.
# 2. A layer multiplies the signal by about std · √n, and so do all others: Xavier before tanh, Kaiming before ReLU.
# 3. Slopes multiply too, and a sigmoid's is at most 1/4: take ReLU, normalize, or add a path around each layer.

# %%
score()
