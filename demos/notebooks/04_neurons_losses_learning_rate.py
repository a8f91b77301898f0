# %% [markdown]
# # 4. Neurons, losses and the learning rate
#
# A neuron answers, a loss says how wrong the answer is, and a step against the slope makes it less wrong. You learn what
# weights and bias do to a neuron's line, work one step of learning out by hand, see why classifiers use cross-entropy
# and not the squared error, and how far a step may go.

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import os

import numpy as np
from ipywidgets import FloatLogSlider, FloatSlider, interact

from tinygrad_edu import Tensor, data, functional as F, manual_seed, nn, optim, plots
from tinygrad_edu.teach import check, score

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))

# %% [markdown]
# ## A neuron
#
# It weighs its inputs, adds a bias, and bends the sum: z = w · x + b, a = σ(z).
#
# **Predict.** Inputs (1, 2, 0.5), weights (0.4, −0.7, 1.2), bias 0.3: what is z? Is the answer a above or below one half?

# %%
x, w, b = np.array([1.0, 2.0, 0.5]), np.array([0.4, -0.7, 1.2]), 0.3
z = w @ x + b
print(f"z = {z:.4f}   a = {F.sigmoid(z).item():.4f}")

# %% [markdown]
# **Exercise 1.** Write the neuron, in NumPy. The sigmoid of z is 1 / (1 + e⁻ᶻ).


# %% nbgrader={"grade": false, "grade_id": "neurons-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def neuron(x, w, b):
    """Its answer a to the inputs x (n,), with weights w (n,) and bias b."""
    ### BEGIN SOLUTION
    return 1 / (1 + np.exp(-(w @ x + b)))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "neurons-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
zero = np.zeros(3)
check(neuron(zero, zero, 0.0), 0.5, hint="at z = 0 the sigmoid is one half", name="the sigmoid")
x, w = np.array([0.5, -1.0, 2.0]), np.array([0.3, -0.6, 0.1])
check(neuron(x, w, 0.2), 0.75951092, hint="z is 1.15 here, products and bias; and it is e⁻ᶻ", name="the answer")
### BEGIN HIDDEN TESTS
check(neuron(np.array([1.0, 3.0]), np.array([2.0, -1.0]), 0.5), 0.37754067)
check(neuron(x, zero, -1.0), 0.26894142)
### END HIDDEN TESTS

# %% [markdown]
# ## Its line
#
# With two inputs, z = 0 is a line in the plane; on one side of it the neuron says yes (orange), on the other no (blue).
# Here are 60 points, labelled by the neuron with w = (2, −1) and b = 0.5.
#
# **Predict.** What happens to the line if the bias becomes −2? If the weights become (1, 2)?

# %%
points = np.random.default_rng(0).uniform(-3, 3, (60, 2))
labels = (points @ [2.0, -1.0] + 0.5 > 0).astype(int)
LINES = {"w = (2, −1), b = 0.5": (2, -1, 0.5), "b = −2": (2, -1, -2), "w = (1, 2)": (1, 2, 0.5)}
panels = {title: lambda x, w1=w1, w2=w2, b=b: x @ [w1, w2] + b for title, (w1, w2, b) in LINES.items()}
plots.regions(panels, points, labels)

# %% [markdown]
# **The weights turn the line, the bias moves it.** Turn them yourself: can you find other numbers that leave every point
# on its side? What happens if you double all three?


# %%
@interact(w1=FloatSlider(1, min=-3, max=3), w2=FloatSlider(2, min=-3, max=3), b=FloatSlider(0.5, min=-3, max=3))
def turn_line(w1, w2, b):
    wrong = int(((points @ [w1, w2] + b > 0) != labels).sum())
    title = f"{wrong} of {len(points)} points on the wrong side"
    return plots.regions({title: lambda x: x @ [w1, w2] + b}, points, labels)


# %% [markdown]
# ## One step of learning
#
# A neuron with one input: x = 2, w = 0.5, b = 0. It should answer y = 1, and the loss L = (y − a)² says how wrong it is.
# The weight reaches L through z and a: three slopes, one after another, and they multiply.


# %%
def learner(bend, x, w, b, y):
    """The loss of a neuron with one input, and its weight."""
    x, y = Tensor(x, requires_grad=False, name="x"), Tensor(y, requires_grad=False, name="y")
    w, b = Tensor(w, name="w"), Tensor(b, name="b")
    z = w * x + b
    a = bend(z)
    L = (y - a) ** 2
    z.name, a.name, L.name = "z", "a", "L"
    return L, w


L, w = learner(F.sigmoid, x=2.0, w=0.5, b=0.0, y=1.0)
L.graph(rankdir="TB")

# %%
L.explain(w)

# %% [markdown]
# The slope is negative, so a larger w makes L smaller. A step of 0.01 against the slope takes w from 0.5 to 0.502115.

# %% [markdown]
# **Exercise 2.** Now a neuron with ReLU instead of σ: x = 3, w = 0.5, b = −0.5, and y = 2. Work the three slopes and
# their product out on paper; then make w one step better, with the rate 0.1.

# %% nbgrader={"grade": false, "grade_id": "neurons-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
# dL_da, da_dz, dz_dw, dL_dw, new_w = five numbers
### BEGIN SOLUTION
dL_da = -2.0  # −2 (y − a), with z = 1, a = 1
da_dz = 1.0
dz_dw = 3.0
dL_dw = dL_da * da_dz * dz_dw
new_w = 0.5 - 0.1 * dL_dw
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "neurons-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
x, w, b, y = 3.0, Tensor(0.5), -0.5, 2.0
z = w * x + b
a = F.relu(z)
((y - a) ** 2).backward()
check(dL_da, a.grad, hint="L = (y − a)²: twice (y − a), times the inner slope −1", name="dL/da")
check(da_dz, z.grad / a.grad, hint="z is above 0, where ReLU lets everything through", name="da/dz")
check(dz_dw, w.grad / z.grad, hint="z = wx + b: w counts x times", name="dz/dw")
check(dL_dw, w.grad, hint="the three slopes multiply", name="dL/dw")
check(new_w, w - 0.1 * w.grad, hint="against the slope: w minus the rate times the slope", name="new w")

# %% [markdown]
# Was it a good step? **Predict**: what is the loss with the new w? And if the step had been twice as long?

# %%
for rate in (0.0, 0.1, 0.2):
    L, w = learner(F.relu, x=3.0, w=0.5 + rate * 6, b=-0.5, y=2.0)
    print(f"rate {rate:.1f}:  w = {w.item():.1f}   L = {L.item():.2f}")

# %% [markdown]
# Twice as long was far too long: the same direction, and the loss is worse than before. We come back to that.
#
# ## Which loss?
#
# A classifier should say yes, and says so with p = σ(z). Two ways to punish it: the squared error (1 − p)², and
# cross-entropy, −ln p.
#
# **Predict.** It says p = 0.001: wrong, and sure of it. Which of the two losses pulls harder at z?

# %%
LOSSES = {"squared error": lambda z: (1 - z.sigmoid()) ** 2, "cross-entropy": lambda z: -np.log(z.sigmoid())}
print("    p   " + "   ".join([f"{name}  slope in z" for name in LOSSES]))
for p in (0.99, 0.7, 0.5, 0.1, 0.01, 0.001):
    row = f"{p:5g}"
    for loss in LOSSES.values():
        z = Tensor(np.log(p / (1 - p)))  # the z with σ(z) = p
        value = loss(z)
        value.backward()
        row += f"   {value.item():13.4f}  {z.grad:10.4f}"
    print(row)

# %%
zs, panels = np.linspace(-8, 8, 161), {"loss": {}, "slope in z": {}}
for name, loss in LOSSES.items():
    z = Tensor(zs)
    values = loss(z)
    values.sum().backward()
    panels["loss"][name], panels["slope in z"][name] = (zs, values.data), (zs, z.grad)
plots.curves(panels, xlabel="score z of the right answer", title="from surely wrong to surely right")

# %% [markdown]
# Where the answer is most wrong, the sigmoid is flat, and the squared error is flat with it: nothing pulls. The logarithm
# undoes the flatness; what is left is the slope p − 1, which is −1 where p is 0.
#
# How long does it take to get back from p = 0.001 to one half, with steps of the rate 1?

# %%
for name, loss in LOSSES.items():
    z, steps = Tensor(np.log(0.001 / 0.999)), 0
    optimizer = optim.SGD([z], lr=1.0)
    while z.item() < 0:
        optimizer.zero_grad()
        loss(z).backward()
        optimizer.step()
        steps += 1
    print(f"{name:13}  {steps:,} steps")

# %% [markdown]
# ## More than two classes
#
# With several classes there is a score for each, a *logit*. Softmax makes shares of them that add up to 1,
# pᵢ = exp(zᵢ) / Σ exp(zⱼ), and the loss is −ln of the right one's share.

# %% [markdown]
# **Exercise 3.** Write this loss, in NumPy.


# %% nbgrader={"grade": false, "grade_id": "neurons-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy(z, label):
    """The loss of the logits z (n,), where `label` is the number of the right class."""
    ### BEGIN SOLUTION
    p = np.exp(z) / np.exp(z).sum()
    return -np.log(p[label])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "neurons-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "exp(0) is 1, so all shares are 1/10; minus the natural logarithm of one of them is ln 10"
check(cross_entropy(np.zeros(10), 3), np.log(10), hint=hint, name="a guess")
z = np.array([2.1, 0.5, -0.8])
check(cross_entropy(z, 0), 0.22866408, hint="the natural logarithm of one share: the right class's", name="class 0")
### BEGIN HIDDEN TESTS
check(cross_entropy(z, 2), 3.12866408)
check(cross_entropy(np.array([1.0, -1.0]), 1), 2.12692801)
### END HIDDEN TESTS

# %% [markdown]
# A network that has learned nothing guesses: among ten classes its loss is ln 10 = 2.30. If yours starts far above that,
# something is wrong with its first weights.
#
# How steeply does this loss depend on each logit? Here is what the chain rule finds for the scores (2.1, 0.5, −0.8) and
# class 0. Compare the gradient of z with the shares p.

# %%
z = Tensor([2.1, 0.5, -0.8], name="z")
p = F.softmax(z)
loss = -np.log(p[0])
loss.graph(title="softmax and cross-entropy, class 0", rankdir="TB")

# %% [markdown]
# **Exercise 4.** Write the slopes, from the scores and the label. The answer is short.


# %% nbgrader={"grade": false, "grade_id": "neurons-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy_slope(z, label):
    """The gradient of the loss with respect to the logits z (n,)."""
    ### BEGIN SOLUTION
    p = np.exp(z) / np.exp(z).sum()
    p[label] -= 1
    return p
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "neurons-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "p for the wrong classes, p − 1 for the right one: a step against it lowers those and raises this"
z = Tensor([2.1, 0.5, -0.8])
F.cross_entropy(z, 0).backward()
check(cross_entropy_slope(z.data, 0), z.grad, hint=hint)
### BEGIN HIDDEN TESTS
check(cross_entropy_slope(np.zeros(4), 3), [0.25, 0.25, 0.25, -0.75])
### END HIDDEN TESTS

# %% [markdown]
# ## How far?
#
# The slope says in which direction, not how far. The learning rate says how far.

# %% [markdown]
# **Exercise 5.** Write gradient descent: from x, so many steps against the slope; return all the places, the first one
# too.


# %% nbgrader={"grade": false, "grade_id": "neurons-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def descend(slope, x, lr, steps):
    """The places of gradient descent, a list of steps + 1 numbers; slope(x) is the slope at x."""
    places = [x]
    ### BEGIN SOLUTION
    for _ in range(steps):
        x = x - lr * slope(x)
        places.append(x)
    ### END SOLUTION
    return places


# %% nbgrader={"grade": true, "grade_id": "neurons-5-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "x − lr · slope(x), with the slope at the place where x is now; then append the new x"
check(descend, lambda slope, x, lr, steps: [-2.0, -1.0, -0.5], at=[(lambda x: 2 * x, -2.0, 0.25, 2)], hint=hint)
### BEGIN HIDDEN TESTS
check(descend(lambda x: 8 * x, 1.0, 0.25, 3), [1.0, -1.0, 1.0, -1.0])
check(descend(lambda x: 2 * x, 3.0, 0.1, 0), [3.0])
### END HIDDEN TESTS

# %% [markdown]
# The valley x², whose slope is 2x, from −2. **Predict** where twenty steps lead with the rates 0.02, 0.4, 0.95 and 1.03.

# %%
RATES = {"too small": 0.02, "right": 0.4, "too large": 0.95, "diverging": 1.03}


def valley(rates, steps=20):
    """The places of descents into x², drawn on the curve."""
    panels = {}
    for title, lr in rates.items():
        places = np.array(descend(lambda x: 2 * x, -2.0, lr, steps))
        line = np.linspace(-1.1, 1.1, 201) * np.abs(places).max()
        panels[f"{title}: lr = {lr:.2f}"] = {"x²": (line, line**2), f"{steps} steps": (places, places**2)}
    return plots.curves(panels, xlabel="x", ylabel="x²", markers=[f"{steps} steps"])


valley(RATES)

# %% [markdown]
# A step takes x to x − lr · 2x = (1 − 2 lr) x. So it multiplies x by a factor: between −1 and 1 the descent arrives,
# outside it explodes. Turn the rate and find three places: where one step is enough, where it begins to jump from side
# to side, and where it never arrives.


# %%
@interact(lr=FloatSlider(0.4, min=0, max=1.1, step=0.05))
def turn_rate(lr):
    return valley({f"each step multiplies x by {1 - 2 * lr:.2f}": lr})


# %% [markdown]
# A steeper valley allows less: on 4x² the factor is 1 − 8 lr, so it ends at lr = 0.25, at 2 divided by the curvature.
# The loss of a network has a different curvature in every direction, and no formula for it. So one tries. Here is a small
# network on two moons, with three rates.


# %%
def moons(n, rng):
    """Two half circles, each around an end of the other: points (n, 2), labels (n,)."""
    angle, labels = rng.uniform(0, np.pi, n), np.arange(n) % 2
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(labels[:, None], [1.0, 0.5] - upper, upper)
    return points + rng.normal(0, 0.1, (n, 2)), labels


points, labels = moons(200, np.random.default_rng(0))


def new_network():
    manual_seed(0)
    return nn.MLP([2, 16, 16, 2], dtype=float)


# %%
def train(lr, steps=100 if QUICK else 300):
    """The losses of a training on all points, and the network."""
    model, losses = new_network(), []
    optimizer = optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = F.cross_entropy(model(points), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, model


RATES = {"too small": 0.005, "right": 0.5, "too large": 8.0}
runs = {f"{name}: {lr:g}": train(lr) for name, lr in RATES.items()}
lines = {name: (range(len(losses)), losses) for name, (losses, _) in runs.items()}
plots.curves({"loss on the moons": lines}, xlabel="step", yscale="log")

# %%
panels = {name: lambda x, model=model: np.diff(model(x).data)[:, 0] for name, (_, model) in runs.items()}
plots.regions(panels, points, labels)

# %% [markdown]
# Is there a way to find the rate without a dozen trainings? `lr_finder` trains once, while the rate grows from step to
# step, and suggests the rate at which the loss fell fastest. Afterwards it puts the network back as it was.

# %%
model = new_network()
batches = data.DataLoader(points, labels, 50, shuffle=True, seed=0)
settings = {"optimizer": optim.SGD(model.parameters(), lr=1.0), "loss": nn.CrossEntropyLoss()}
found = optim.lr_finder(model, batches, **settings, start_lr=1e-3, end_lr=100)
print(f"it suggests {found.suggestion:.2g}")
panels = {"loss as the rate grows": {"loss": (found.lrs, found.losses)}}
plots.curves(panels, xlabel="learning rate", xscale="log")

# %% [markdown]
# The suggestion is where to begin looking, not the best rate. The curve says more: where it shoots up, a rate is too
# large, and good ones often lie a factor of ten below that.
#
# Turn the rate of the whole training: try the suggestion, then more. From where on does it fail?


# %%
@interact(lr=FloatLogSlider(0.5, min=-3, max=1.5, step=0.25, continuous_update=False))
def train_at(lr):
    with np.errstate(all="ignore"):  # where it diverges
        losses, model = train(lr)
    title = f"lr = {lr:.3g}: the loss after {len(losses)} steps is {losses[-1]:.3g}"
    return plots.regions({title: lambda x: np.diff(model(x).data)[:, 0]}, points, labels)


# %% [markdown]
# ## What to take home
#
# - Weights turn a neuron's line, the bias moves it.
# - A step of learning is a product of slopes, and w minus the rate times it.
# - Cross-entropy pulls where the answer is most wrong: its slope is p − 1 for the right class, p for the others.
# - The rate has a limit, 2 divided by the curvature; below it one looks for what falls fastest.

# %%
score()
