# %% [markdown]
# # 7. Convolution: what is learned in one place is known everywhere
#
# Move a handwritten digit two pixels to the right. You hardly see the difference; a network like that of notebook 5
# takes many such digits for something else. Today you find out why, write a convolution with two loops, work out by
# hand the gradient of a weight that is used many times, and train a convolutional network that bears shifts better.
#
# You know how gradients of several paths add up (2) and how a network learns digits (5).

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import os

import numpy as np
from ipywidgets import IntSlider, interact

from tinygrad_edu import Tensor, data, functional as F, manual_seed, nn, optim, plots
from tinygrad_edu.teach import check, check_gradients, score
from tinygrad_edu.training import accuracy, fit, predict

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))  # a small setting, for tests

# %% [markdown]
# ## A digit on its way to the right

# %%
source, (images, labels, test_images, test_labels) = data.load_digits()
count, tested, epochs = (1000, 200, 1) if QUICK else (10_000, 1000, 4)
images, labels, test_images, test_labels = images[:count], labels[:count], test_images[:tested], test_labels[:tested]
print(f"{source}: {count:,} images to learn from, {tested:,} to test with")


# %%
def shifted(images, right, down=0):
    """Images (n, h, w) moved by whole pixels; what leaves on one side is replaced by black on the other."""
    moved = np.roll(images, (down, right), axis=(1, 2))
    moved[:, : max(0, down)] = moved[:, images.shape[1] + min(0, down) :] = 0
    moved[:, :, : max(0, right)] = moved[:, :, images.shape[2] + min(0, right) :] = 0
    return moved


digit = test_images[:1]
plots.images([shifted(digit, s)[0] for s in range(5)], [f"shift {s}" for s in range(5)])

# %% [markdown]
# **Predict.** A fully connected network sees 784 numbers, each at an input of its own. How many of its inputs that were
# ink (above 0) are still ink after a shift of 2? Of 4?

# %%
ink = test_images > 0
for shift in range(5):
    print(f"shift {shift}: {(ink & shifted(ink, shift)).sum() / ink.sum():4.0%} of the ink lies where ink was before")

# %% [markdown]
# To the network each pixel has its own weights: what it has learned about a stroke in one place, it does not know about
# the same stroke two pixels further on. It would have to see every stroke in every place.
#
# ## A kernel slides over the image
#
# Take a few weights, lay them on a patch of the image, multiply and add up: one number. Move one pixel on, and do the
# same with the *same* weights. That is a convolution.

# %%
bar = np.array([[9.0, 9.0, 0.0, 0.0, 0.0]] * 4)  # an image: ink on the left, nothing on the right
edge = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
print(f"the image:\n{bar}\nthe kernel:\n{edge}")
print(f"at the first place, in the upper left corner: {(bar[:3, :3] * edge).sum()}")

# %% [markdown]
# **Predict.** How large is the result, how many rows and columns? Where is it not 0?

# %% [markdown]
# **Exercise 1.** Write the convolution. Each number of the result is a sum: the k x k pixels below the kernel, each
# times the weight that lies on it.


# %% nbgrader={"grade": false, "grade_id": "convolution-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convolve(image, kernel):
    """Slides the kernel over the image: (h, w) and (k, k) -> (h - k + 1, w - k + 1)."""
    (h, w), k = image.shape, len(kernel)
    ### BEGIN SOLUTION
    result = np.zeros((h - k + 1, w - k + 1))
    for row in range(h - k + 1):
        for column in range(w - k + 1):
            result[row, column] = (image[row : row + k, column : column + k] * kernel).sum()
    return result
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "convolution-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
steps, upper = np.arange(9.0).reshape(3, 3), np.array([[1.0, 2.0], [0.0, 0.0]])  # this kernel has an upper row only


def library(image, kernel):
    """The same by the library, which takes many images and kernels at once."""
    return F.conv2d(image[None, None], kernel[None, None])[0, 0]


check(
    convolve,
    library,
    at=[(np.ones((3, 3)), np.ones((2, 2)))],
    hint="a kernel of k has h − k + 1 places down and w − k + 1 across; each gives one number, the sum of k · k products",
)
check(
    convolve,
    library,
    at=[(steps, upper)],
    hint="each pixel times the weight that lies on it: image[rows, columns], and a kernel that is not turned",
)
check(convolve, library, at=[(bar, edge)], hint="h counts the rows, w the columns, and k is the side of the kernel")
### BEGIN HIDDEN TESTS
check(convolve(bar, edge), [[36, 36, 0], [36, 36, 0]])
check(convolve(np.eye(4), np.array([[0.0, 1.0], [2.0, 3.0]])), [[3, 2, 0], [1, 3, 2], [0, 1, 3]])
### END HIDDEN TESTS

# %%
convolve(bar, edge)

# %% [markdown]
# It is 0 where all pixels below the kernel are alike, for its weights add up to 0; the other places touch the edge.
#
# (Mathematicians turn the kernel round before they slide it. Networks learn it anyway, and so all libraries leave that
# out and call it a convolution nevertheless.)
#
# `F.conv2d` does the same, quickly, for many images and many kernels: arrays (n, channels, h, w).
#
# **Turn the slider.** This kernel looks for an edge in a direction. Which strokes answer to 0, 90 and 45 degrees?


# %%
@interact(degrees=IntSlider(45, min=0, max=180, step=15))
def draw_edges(degrees):
    """A digit, an edge kernel turned so far, and what the kernel finds: orange where it agrees, blue the contrary."""
    angle, image = np.radians(degrees), digit[0] / 255.0
    kernel = np.cos(angle) * edge - np.sin(angle) * edge.T
    answer = F.conv2d(image[None, None], kernel[None, None])[0, 0]
    titles = ["the digit", f"the kernel, {degrees} degrees", "what it finds"]
    return plots.images([image, kernel / 4, answer / 4], titles, signed=True)


# %% [markdown]
# ## How large, and how many numbers?
#
# A *stride* of s moves the kernel s pixels at a time; *padding* of p adds p rows and columns of zeros on every side.

# %% [markdown]
# **Exercise 2.** How many places has a kernel of k along a side of so many pixels?


# %% nbgrader={"grade": false, "grade_id": "convolution-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def places(size, k, stride=1, padding=0):
    """How many places a kernel of k has along a side of so many pixels."""
    ### BEGIN SOLUTION
    return (size + 2 * padding - k) // stride + 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "convolution-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(places(28, 5), 24, hint="the first place is place number 1: 28 − 5 steps lead to the last one")
check(places(28, 3, padding=1), 28, hint="padding adds pixels on both sides")
check(
    places(24, 2, stride=2), 12, hint="a step is s pixels long, so that there are fewer steps; then add the first place"
)
check(places(7, 2, stride=2), 3, hint="a step that would leave the image does not count: divide by //")
check(places(28, 5, stride=2, padding=1), 13, hint="the kernel steps over the padding too, s pixels at a time")
### BEGIN HIDDEN TESTS
check(places(32, 3, stride=3, padding=2), 12)
check(places(10, 3, stride=2), 4)
check(places(5, 5), 1)
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** 16 kernels of 5 x 5, each with a bias, slide over an image of 28 x 28. How many parameters is that, and
# how many would a fully connected layer need to put out as many numbers?

# %%
kernels = nn.Conv2d(1, 16, kernel_size=5)
inputs, outputs = 28 * 28, 16 * places(28, 5) ** 2
print(f"the kernels put out {outputs:,} numbers, with {sum(p.size for p in kernels.parameters()):,} parameters")
print(f"a fully connected layer from {inputs} to {outputs:,} has {inputs * outputs + outputs:,}")

# %% [markdown]
# ## The gradient of a weight that is used in many places
#
# The smallest convolution: four numbers, a kernel of two, three results. Every weight is used three times.
#
# **Predict.** How many paths lead from L back to w0?

# %%
x = [1.0, 2.0, -1.0, 3.0]
w0, w1 = Tensor(1.0, name="w0"), Tensor(-1.0, name="w1")
y0 = w0 * x[0] + w1 * x[1]
y1 = w0 * x[1] + w1 * x[2]
y2 = w0 * x[2] + w1 * x[3]
L = (y0**2 + y1**2 + y2**2) / 2  # so that dL/dy0 = y0, and so on
print(f"y = {y0.item()}, {y1.item()}, {y2.item()}; L = {L.item()}")

# %% [markdown]
# **Exercise 3.** Work out dL/dw0 and dL/dw1 by hand and put the numbers here. dL/dy0 is y0 itself; each y passes to
# w0 its gradient times the x that w0 was multiplied with.

# %% nbgrader={"grade": false, "grade_id": "convolution-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
w0.grad = w1.grad = None
### BEGIN SOLUTION
w0.grad = -1.0 * 1.0 + 3.0 * 2.0 + -4.0 * -1.0  # 9
w1.grad = -1.0 * 2.0 + 3.0 * -1.0 + -4.0 * 3.0  # -17
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "convolution-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check_gradients(L, hint="y0, y1 and y2 each hand w0 a product, y times the x beside w0: paths add up")

# %%
L.graph(gradients="grad", style="compact", title="two weights, each used three times")

# %% [markdown]
# The paths add up, as in notebook 2: dL/dw0 = Σ dL/dy · x, over all places of the kernel. So one example of a stroke,
# wherever it lies, improves the kernel for all places.

# %%
print(L.explain(w0))

# %% [markdown]
# ## Shift the image, and the answer shifts
#
# **Predict.** The kernel answers to the shifted image. What does its answer look like, beside the one before?

# %%
kernel = edge[None, None]
pair = np.concatenate([digit, shifted(digit, 2)]) / 255.0
before, after = F.conv2d(pair[:, None], kernel)[:, 0]
print(f"largest difference, once the first answer is moved by 2: {abs(after[:, 2:] - before[:, :-2]).max():.2g}")
titles = ["a digit", "its edges", "the digit, shifted by 2", "its edges"]
plots.images([pair[0], before / 4, pair[1], after / 4], titles, signed=True)

# %% [markdown]
# The answer is the same, in another place. To forget *where* a little, keep the largest of each 2 x 2: max pooling.

# %% [markdown]
# **Exercise 4.** Pooling takes the largest of each 2 x 2. Write it, and let its gradient flow: only the winner of each
# 2 x 2 gets it. `image.reshape(h // 2, 2, w // 2, 2)` has the rows of a block along axis 1 and its columns along
# axis 3.


# %% nbgrader={"grade": false, "grade_id": "convolution-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def max_pool(image):
    """(h, w) -> (h // 2, w // 2), the largest of each 2 x 2; h and w are even."""
    h, w = image.shape
    ### BEGIN SOLUTION
    return image.reshape(h // 2, 2, w // 2, 2).max(axis=(1, 3))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "convolution-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
numbers = Tensor([[1.0, 5.0, 8.0, 0.0, 2.0, 1.0], [3.0, 4.0, 2.0, 6.0, 7.0, 3.0]], name="numbers")
pooled = max_pool(numbers)
check(pooled, [[5, 8, 7]], hint="the largest over the axes 1 and 3 of the image as (h // 2, 2, w // 2, 2)")
check(
    getattr(pooled, "requires_grad", False),
    True,
    hint="stay with Tensors, without .data, .item() and detach(), so that the gradient finds its way back",
    name="requires_grad",
)
pooled.sum().backward()
check(numbers.grad, [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]], hint="only the largest of each block gets the gradient")
### BEGIN HIDDEN TESTS
check(max_pool(np.arange(24.0).reshape(4, 6)), [[7, 9, 11], [19, 21, 23]])
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** All test images move by one pixel. By how much, in percent, do their edges change? And after pooling them
# once, twice?


# %%
def change(a, b):
    """How far b is from a, as a share of a: root mean squares."""
    return np.sqrt(np.mean((a - b) ** 2) / np.mean(a**2))


signals = [images[:, None] / 255.0 for images in (test_images, shifted(test_images, 1))]
signals = [np.maximum(F.conv2d(signal, kernel, padding=1), 0) for signal in signals]
for size in (28, 14, 7):
    print(f"edges, {size:2} x {size:2}: changed by {change(*signals):.0%}")
    signals = [F.max_pool2d(signal, 2) for signal in signals]

# %% [markdown]
# ## A network of kernels
#
# Two convolutions, each followed by pooling and ReLU, and one fully connected layer at the end. Beside it a network
# like that of notebook 5, with more units.


# %%
def build_cnn():
    """Images (n, 1, 28, 28) -> scores (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5),  # (n, 16, 24, 24)
        nn.MaxPool2d(2),  # (n, 16, 12, 12)
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=5),  # (n, 32, 8, 8)
        nn.MaxPool2d(2),  # (n, 32, 4, 4)
        nn.ReLU(),
        nn.Flatten(),  # (n, 512)
        nn.Linear(512, 10),
    )


build_cnn().summary((1, 28, 28))

# %% [markdown]
# **Predict.** 18,000 parameters against 235,000: which network reads more test images right?


# %%
def prepared(images):
    """Images (n, 28, 28) -> float32 with an axis of one channel, standardised."""
    return data.normalize(images)[:, None]


MAKE = {"MLP": lambda: nn.Sequential(nn.Flatten(), nn.MLP([784, 256, 128, 10])), "CNN": build_cnn}
models = {}
for name, make in MAKE.items():
    manual_seed(0)
    models[name] = make()
    batches = data.DataLoader(images, labels, 64, shuffle=True, seed=0, transform=prepared)
    optimizer = optim.Adam(models[name].parameters(), lr=1e-3)
    fit(models[name], batches, optimizer=optimizer, loss=nn.CrossEntropyLoss(), epochs=epochs, progress=False)


# %%
def read(model, images):
    """The digits that a network reads, shape (n,)."""
    return predict(model, data.DataLoader(images, np.zeros(len(images), int), 500, transform=prepared)).argmax(axis=1)


for name, model in models.items():
    size, right = sum(p.size for p in model.parameters()), accuracy(read(model, test_images), test_labels)
    print(f"{name}: {size:7,} parameters, {right:.1%} of the test images right")

# %% [markdown]
# **Predict.** Now the test images move; nobody has trained on moved ones. Sketch the two curves: accuracy against
# shift, from 0 to 4 pixels.

# %%
WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # right, left, down, up


def accuracy_at(model, shift):
    """The mean accuracy of the four directions."""
    moved = [shifted(test_images, shift * right, shift * down) for right, down in WAYS]
    return np.mean([accuracy(read(model, images), test_labels) for images in moved])


curves = {name: (range(5), [100 * accuracy_at(model, shift) for shift in range(5)]) for name, model in models.items()}
for name, (_, shares) in curves.items():
    print(f"{name}:", "  ".join([f"shift {shift}: {share:.1f}%" for shift, share in enumerate(shares)]))
plots.curves({f"{source}, moved": curves}, xlabel="shift in pixels", ylabel="accuracy in %", markers=True)

# %% [markdown]
# Both fall, the convolutional network later. It falls in the end, as its last layer has a weight for each place again.
#
# **Turn the slider.** Both networks read this digit where it stands. The row moves it to the left and to the right, the
# slider up and down.

# %%
both_right = [read(model, test_images) == test_labels for model in models.values()]
lost = [read(models["MLP"], shifted(test_images, shift)) != test_labels for shift in (2, 3)]
found = np.flatnonzero(np.all([*both_right, *lost], axis=0))
chosen = found[0] if len(found) else 0


@interact(down=IntSlider(0, min=-4, max=4, continuous_update=False))
def draw_row(down):
    """The chosen digit, moved down by so many pixels and to the right by −3 to 3, with both answers."""
    row = np.concatenate([shifted(test_images[[chosen]], right, down) for right in range(-3, 4)])
    mlp, cnn = read(models["MLP"], row), read(models["CNN"], row)
    titles = [f"{right:+}\nMLP {a}, CNN {b}" for right, a, b in zip(range(-3, 4), mlp, cnn, strict=True)]
    title = f"a {test_labels[chosen]}, moved down by {down} (orange: the MLP misreads it)"
    return plots.images(row, titles, title=title, marks=mlp != test_labels[chosen])


# %% [markdown]
# ## What the kernels have become
#
# **Predict.** What do the 16 kernels of the first layer look for?

# %%
first = models["CNN"][0]
plots.images(first.weight.data[:, 0], signed=True, title="the 16 kernels of the first layer")

# %% [markdown]
# Kernels are hard to read, but what they find is not. Which of them answer to the upper side of a stroke, which to its
# left or right side, which to ink itself?

# %%
answers = first(prepared(digit)).data[0]
plots.images(answers, signed=True, title="what each of them finds in the digit")

# %% [markdown]
# ## What to take home
#
# 1. A kernel has few weights and uses them everywhere: what it learns in one place it knows in all.
# 2. Its gradient is the sum over all places, for paths add up.
# 3. A shift of the image shifts the answers; pooling forgets where exactly.
#
# To go on: train the MLP on moved images (`data.RandomAffine`) and see how much of the difference is left.

# %%
score()
