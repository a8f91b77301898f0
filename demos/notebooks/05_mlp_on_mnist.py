# %% [markdown]
# # 5. An MLP reads handwritten digits
#
# Can a program read a 7 if nobody has told it what a 7 looks like? Today you count the numbers of a network, write the
# five lines of the training loop, let it learn from thousands of images in a few seconds, and look at its mistakes.
# Then you are the doctor: five trainings fail, each for one reason, and you find the reasons from their curves.
#
# You know gradients, losses and the learning rate from notebooks 1 to 4.

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
from ipywidgets import FloatSlider, interact

from tinygrad_edu import cross_entropy, data, manual_seed, nn, optim, plots
from tinygrad_edu.functional import softmax
from tinygrad_edu.teach import check, score
from tinygrad_edu.training import accuracy, confusion_matrix, diagnose, fit, most_confused_pair, predict

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))  # a small setting, for tests

# %% [markdown]
# ## What the network gets to see
#
# `load_digits` reads MNIST, or draws digits of its own where there are neither files nor network, and tells us which.

# %%
source, (images, labels, test_images, test_labels) = data.load_digits()
if QUICK:
    images, labels, test_images, test_labels = images[:7000], labels[:7000], test_images[:500], test_labels[:500]
print(f"{source}: {len(images):,} images to learn from, {len(test_images):,} to test with")
print(f"one image: shape {images[0].shape}, whole numbers from {images[0].min()} to {images[0].max()}")

# %%
plots.images(images[:16], labels[:16], title=f"{source}: what stands above each is its label")

# %% [markdown]
# A layer takes a list of numbers of about the size of 1. So an image becomes one row of 784 numbers, and all of them
# are shifted and scaled: mean 0, standard deviation 1.
#
# Some images are held out. The network never learns from them: they tell how well it reads what it has not seen.


# %%
def flat(images):
    """Images (n, 28, 28) -> float32 of shape (n, 784), standardised."""
    return data.normalize(images).reshape(-1, 784)


held = len(images) // 12
training = data.DataLoader(images[held:], labels[held:], 64, shuffle=True, seed=0, transform=flat)
validation = data.DataLoader(images[:held], labels[:held], 500, transform=flat)
x, y = next(iter(training))
print(f"a batch: {x.shape}, mean {x.mean():.2f}, standard deviation {x.std():.2f}; its labels: {y.shape}")
print(f"{len(images) - held:,} images to learn from, {held:,} held out")

# %% [markdown]
# ## How many numbers does it learn?
#
# The network is 784-128-64-10: three layers, with a ReLU after the first and after the second.
#
# **Predict.** How many weights and biases are that, to the nearest thousand? In which layer are most of them?

# %% [markdown]
# **Exercise 1.** Count the parameters of an MLP with layers of these sizes.


# %% nbgrader={"grade": false, "grade_id": "mnist-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def parameter_count(sizes):
    """How many weights and biases an MLP has; sizes is a list such as [784, 128, 64, 10]."""
    ### BEGIN SOLUTION
    return sum(sizes[i] * sizes[i + 1] + sizes[i + 1] for i in range(len(sizes) - 1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mnist-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
one_layer, three_layers = [784, 10], [784, 128, 64, 10]


def count(sizes):
    """What the library's own MLP of these sizes has."""
    return sum(p.size for p in nn.MLP(sizes).parameters())


check(parameter_count, count, at=[one_layer], hint="784 weights lead to each of the 10 units, and each unit has a bias")
check(parameter_count, count, at=[three_layers], hint="the outputs of one layer are the inputs of the next")
### BEGIN HIDDEN TESTS
check(parameter_count([784, 128, 64, 10]), 109_386)
check(parameter_count([784, 256, 128, 10]), 235_146)
check(parameter_count([2, 3]), 9)
### END HIDDEN TESTS

# %%
manual_seed(0)
model = nn.MLP([784, 128, 64, 10])
model.summary(784)

# %% [markdown]
# ## What does it answer before it has learned anything?
#
# Ten scores for each image; softmax makes probabilities of them, and cross-entropy is −ln of the probability that the
# right digit got.
#
# **Predict.** What is the loss of somebody who knows nothing, and gives each of the ten digits the same probability?

# %% [markdown]
# **Exercise 2.** Put that loss here: a number, or a line that computes it.

# %% nbgrader={"grade": false, "grade_id": "mnist-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
loss_of_a_guess = None
### BEGIN SOLUTION
loss_of_a_guess = -np.log(1 / 10)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "mnist-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
ten_equal_scores = np.zeros((1, 10))
right = cross_entropy(ten_equal_scores, [0])
check(loss_of_a_guess, right, hint="the right digit gets 1/10, like all others; the loss is −ln of that, base e")

# %%
loss = cross_entropy(model(x), y)
right = accuracy(model(x), y)
print(f"the untrained network: loss {loss.item():.3f}, {right:.0%} right; an honest guess: {np.log(10):.3f}, about 10%")

# %% [markdown]
# It starts near ln 10, and somewhat above: it does not know anything, but its random weights already prefer some
# digits. A network that starts far above is *sure* of nonsense, and spends its first steps on unlearning that.
#
# The picture has one line for each step of the computation: shapes, and in orange the size of the gradient.

# %%
loss.graph(title="one batch, forward and backward")

# %% [markdown]
# ## The loop
#
# Five lines, and all of deep learning shares them: *forward, loss, zero_grad, backward, step*.

# %% [markdown]
# **Exercise 3.** Write one step: `optimizer.zero_grad()` empties the gradients, `loss.backward()` fills them,
# `optimizer.step()` moves the weights. Return the loss as a number, `loss.item()`.


# %% nbgrader={"grade": false, "grade_id": "mnist-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_step(model, optimizer, x, y):
    """Moves the weights once against the gradient of the cross-entropy; returns the loss before that."""
    ### BEGIN SOLUTION
    loss = cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mnist-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
tiny = nn.Linear(2, 2, init=nn.init.zeros, dtype=np.float64)
descent, corners = optim.SGD(tiny.parameters(), lr=1.0), np.eye(2)
first, second, third = [train_step(tiny, descent, corners, [0, 1]) for _ in range(3)]
check(first, np.log(2), hint="return the loss before the step, as a number: loss.item()")
check(type(first).__name__, "float", hint="loss is a Tensor, loss.item() the number in it", name="its type")
check(second, 0.474077, hint="cross_entropy takes the scores; then come zero_grad(), backward() and step() in turn")
check(third, 0.347698, hint="gradients add up from step to step unless zero_grad() empties them before backward()")
### BEGIN HIDDEN TESTS
check(train_step(tiny, descent, corners, [0, 1]), 0.270016)
### END HIDDEN TESTS

# %% [markdown]
# ## First a single batch
#
# A loop that is right can learn 64 images by heart; a loop that is wrong cannot. So this is the first thing to try,
# before any long training.
#
# **Predict.** After how many steps on the same 64 images does the network have all of them right?

# %%
manual_seed(0)
model = nn.MLP([784, 128, 64, 10])
optimizer = optim.Adam(model.parameters(), lr=1e-3)
for step in range(31):
    right = accuracy(model(x), y)
    loss = train_step(model, optimizer, x, y)
    if step % 5 == 0:
        print(f"step {step:2}: loss {loss:.4f}, {right:.0%} right")

# %% [markdown]
# ## Now all of them
#
# `fit` is this loop over all batches, with the held-out images beside it. An epoch has shown each image once.
#
# **Predict.** What share of the held-out images does the network read after the first epoch? After the last?

# %%
manual_seed(0)
model = nn.MLP([784, 128, 64, 10])
optimizer, epochs = optim.Adam(model.parameters(), lr=1e-3), 2 if QUICK else 6
history = fit(
    model,
    training,
    optimizer=optimizer,
    loss=nn.CrossEntropyLoss(),
    epochs=epochs,
    validation=validation,
    scheduler=optim.CosineAnnealingLR(optimizer, epochs),
    progress=False,
)
plots.training_curves(history, title=f"{source}: 784-128-64-10, Adam")

# %% [markdown]
# The training loss is a mean over an epoch in which the network improves, so at first the held-out images look better.
# When the training curve goes on and the other one stops, the network begins to learn its images by heart.
#
# The test images are for the end: they are used once, and nothing is chosen by them.

# %%
test = data.DataLoader(test_images, test_labels, 500, transform=flat)
logits = predict(model, test)
print(f"{source}: {accuracy(logits, test_labels):.2%} of {len(test_labels):,} test images are read right")
true, taken, count = most_confused_pair(confusion_matrix(logits, test_labels))
print(f"most confused: a {true} is read as a {taken}, {count} times")

# %% [markdown]
# ## Where it is wrong
#
# **Predict.** Would you have read them all?

# %%
p = softmax(logits)
answers = p.argmax(axis=1)
wrong = np.flatnonzero(answers != test_labels)
worst = wrong[np.argsort(-p[wrong].max(axis=1))][:16]
titles = [f"{test_labels[i]}, read as {answers[i]}\n{p[i].max():.0%} sure" for i in worst]
plots.images(test_images[worst], titles, title=f"{source}: the surest of {len(wrong)} mistakes")

# %% [markdown]
# What does a unit of the first layer look for? Its 784 weights are an image again: it answers where ink meets orange
# and does not meet blue. Nobody drew these.

# %%
weights = model[0].weight.data
strongest = np.argsort(-np.linalg.norm(weights, axis=1))[:16]
plots.images(weights[strongest].reshape(-1, 28, 28), signed=True, title="weights of the 16 strongest units")

# %% [markdown]
# ## The learning rate, once more
#
# The same network, the first 100 steps, plain gradient descent.
#
# **Predict.** Which rate brings the loss down fastest: 0.001, 0.1 or 10? Which one destroys the network? Then turn the
# slider: it sets the exponent, −3 for 0.001.

# %%
pictures, digits = flat(images[held : held + 6400]), labels[held : held + 6400]  # 100 batches of 64


def first_losses(lr=0.1, init="auto", digits=digits):
    """The losses of 100 steps of SGD, and the network after them."""
    manual_seed(0)
    model = nn.MLP([784, 128, 64, 10], init=init)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    batches = data.DataLoader(pictures, digits, 64, shuffle=True, seed=0)
    with np.errstate(over="ignore", invalid="ignore"):  # a network that explodes is worth a look
        losses = [train_step(model, optimizer, x, y) for x, y in batches]
    return losses, model


# %%
@interact(exponent=FloatSlider(-3, min=-4, max=1, step=0.25, continuous_update=False))
def draw_rate(exponent):
    """The first steps with the learning rate 10**exponent, beside those with 0.1."""
    lines = {"lr 0.1": first_losses()[0], f"lr {10.0**exponent:.2g} (yours)": first_losses(10.0**exponent)[0]}
    lines = {label: (range(100), losses) for label, losses in lines.items()}
    return plots.curves({f"{source}, loss of each batch": lines}, xlabel="step", ylabel="loss", yscale="log")


# %% [markdown]
# ## Be the doctor
#
# Five trainings are ill, each for one reason: *labels mixed up* (they belong to other images), *steps too long*,
# *steps too short*, *weights too large* or *weights too small* at the start. The blue line is the healthy training.
# Look at two things: where does the line begin (an honest guess has 2.3), and where does it go?

# %%
ILLNESSES = ["labels mixed up", "steps too long", "steps too short", "weights too large", "weights too small"]
order = np.random.default_rng(4).permutation(ILLNESSES)

# %%
SETTINGS = {
    "labels mixed up": {"digits": np.random.default_rng(0).permutation(digits)},
    "steps too long": {"lr": 1.0},
    "steps too short": {"lr": 1e-4},
    "weights too large": {"init": partial(nn.init.normal, std=0.5)},
    "weights too small": {"init": partial(nn.init.normal, std=1e-3)},
}
patients = {patient: first_losses(**SETTINGS[illness]) for patient, illness in zip("ABCDE", order, strict=True)}

# %%
healthy = first_losses()[0]
panels = {}
for patient, (losses, _) in patients.items():
    panels[f"patient {patient}"] = {"healthy": (range(100), healthy), "ill": (range(100), losses)}
plots.curves(panels, xlabel="step", ylabel="loss", yscale="log", title="five ill trainings, and a healthy one")

# %% [markdown]
# **Exercise 4.** Which patient has what? Fill in one of the five illnesses for each.

# %% nbgrader={"grade": false, "grade_id": "mnist-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
findings = {"A": "", "B": "", "C": "", "D": "", "E": ""}
### BEGIN SOLUTION
findings = {
    "A": "steps too short",
    "B": "weights too small",
    "C": "labels mixed up",
    "D": "steps too long",
    "E": "weights too large",
}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "mnist-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
CLUES = {
    "labels mixed up": "it begins as the healthy one, comes down to 2.3, and nothing brings it lower",
    "steps too long": "it begins as the healthy one, and the first steps throw it far up",
    "steps too short": "it begins as the healthy one, and comes down, but hardly",
    "weights too large": "it begins far above 2.3: sure of nonsense",
    "weights too small": "it begins at 2.3 exactly, all scores are 0, and it stays there",
}
for patient, illness in zip("ABCDE", order, strict=True):
    found = findings.get(patient, "")
    hint = CLUES[illness] if found in ILLNESSES else f"the names are {', '.join(ILLNESSES)}"
    check(found, str(illness), hint=hint, name=f"patient {patient}")

# %% [markdown]
# ## What the doctor's instrument says
#
# `diagnose` sends one batch through a network and looks at every layer: how much the signal differs between the
# images (`spread`), how many units are `dead`, how large the `gradient` is.
#
# **Predict.** The patient with the small weights: where in the network does the signal get lost?

# %%
ill = list(order).index("weights too small")
diagnose(patients["ABCDE"[ill]][1], pictures[:256], digits[:256], cross_entropy)

# %% [markdown]
# Not in one place: each linear layer makes `spread` about a hundred times smaller, and the gradient shrinks alike on its
# way back.
#
# And the patient whose steps were too long? A jump like that can end beyond all numbers (`not finite`), or with units
# that are `dead`: they put out 0 for every image, so they pass on no gradient, and no step of gradient descent moves
# their weights.

# %%
ill = list(order).index("steps too long")
diagnose(patients["ABCDE"[ill]][1], pictures[:256], digits[:256], cross_entropy)

# %% [markdown]
# ## What to take home
#
# 1. The loss should start near ln(classes), and a single batch should be learned by heart: try both first.
# 2. The loop is forward, loss, zero_grad, backward, step; held-out images judge it, test images only at the end.
# 3. When a training fails, look at where the loss begins and where it goes, then at the layers with `diagnose`.
#
# Why weights may be too small or too large is the matter of the next notebook.

# %%
score()
