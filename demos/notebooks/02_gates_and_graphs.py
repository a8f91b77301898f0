# %% [markdown]
# # 2. Gates and graphs
#
# A program that computes a number is a circuit of small gates. Each gate knows only its own slope, and that is enough
# to find how the output depends on every input. You learn what the three commonest gates do to a gradient, take a
# formula apart in stages and walk back through it by hand, and find the backward pass of a matrix product from nothing
# but its shapes.

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import numpy as np
from ipywidgets import FloatSlider, interact

from tinygrad_edu import Tensor, add, gradients, maximum, multiply
from tinygrad_edu.teach import check, check_gradients, score

# %% [markdown]
# ## One gate
#
# A gate has the inputs x = −2 and y = 5, and from above the gradient g = 3 arrives: how steeply the end of the whole
# circuit depends on this gate's output.
#
# **Predict.** What do x and y get if the gate adds? If it multiplies? If it takes the larger of the two? Write down six
# numbers before you run the next cell.

# %%
GATES = {"add": add, "multiply": multiply, "max": maximum}


def through(gate, x, y, g):
    """The output of a gate, and what x and y get when the gradient g arrives there."""
    x, y = Tensor(x), Tensor(y)
    out = gate(x, y)
    out.backward(g)
    return out.item(), x.grad, y.grad


for name, gate in GATES.items():
    out, to_x, to_y = through(gate, -2.0, 5.0, g=3.0)
    print(f"{name:8}  output {out:5g}   x gets {to_x:3g}, y gets {to_y:3g}")

# %% [markdown]
# Three gates, three characters:
#
# - **add distributes**: both inputs get g, whatever they are;
# - **multiply swaps**: each input gets g times the *other* one;
# - **max routes**: the larger input gets g, the other gets 0.

# %% [markdown]
# **Exercise 1.** Write the backward pass of the max gate. `g` arrives at the output of `max(x, y)`; return what x gets
# and what y gets. (x and y are never equal here.)


# %% nbgrader={"grade": false, "grade_id": "gates-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def max_backward(g, x, y):
    """The gradients of x and y."""
    ### BEGIN SOLUTION
    return (g, 0.0) if x > y else (0.0, g)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gates-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(max_backward(3.0, -2.0, 5.0), (0.0, 3.0), hint="the larger input gets all of g, the other one 0")
check(max_backward(3.0, 5.0, -2.0), (3.0, 0.0), hint="which one is larger depends on x and y")
### BEGIN HIDDEN TESTS
check(max_backward(-1.5, -2.0, -3.0), (-1.5, 0.0))
check(max_backward(2.0, -7.0, 0.5), (0.0, 2.0))
### END HIDDEN TESTS

# %% [markdown]
# ## A circuit
#
# f = 2 (x y + max(z, w)) at x = 3, y = −4, z = 2, w = −1: first the values from left to right.

# %%
x, y, z, w = Tensor(3.0, name="x"), Tensor(-4.0, name="y"), Tensor(2.0, name="z"), Tensor(-1.0, name="w")
p = x * y
m = maximum(z, w)
s = p + m
f = 2 * s
f.graph(mode="forward", title="f = 2 (x y + max(z, w))")

# %% [markdown]
# **Exercise 2.** Walk back from right to left with the three rules, on paper, and write down the slope of f with
# respect to each input. At f you start with 1.

# %% nbgrader={"grade": false, "grade_id": "gates-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
# slopes = {"x": a number, "y": a number, "z": a number, "w": a number}
### BEGIN SOLUTION
slopes = {"x": -8.0, "y": 6.0, "z": 2.0, "w": 0.0}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "gates-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "f is 2 times s, so s gets 2; the sum hands 2 to both; the product swaps its inputs, max routes to the larger"
check(slopes, gradients(f, {"x": x, "y": y, "z": z, "w": w}), hint=hint, name="slopes")

# %% [markdown]
# The same circuit with both passes: values are blue, gradients orange. On every wire stands what the gate hands back.

# %%
f.graph(title="f = 2 (x y + max(z, w))")

# %% [markdown]
# ## A value used twice
#
# In f = x y + max(x, z) there are two ways from x to f.
#
# **Predict.** At x = −2, y = 5, z = −4: what does x get over the product, what over the maximum, and what in all?


# %%
def branches(x, y, z):
    """f = x y + max(x, z)."""
    x, y, z = Tensor(x, name="x"), Tensor(y, name="y"), Tensor(z, name="z")
    p, m = x * y, maximum(x, z)
    p.name, m.name = "p", "m"
    f = p + m
    f.name = "f"
    return f, x


@interact(x=FloatSlider(-2.0, min=-6, max=6, step=0.5), z=FloatSlider(-4.0, min=-6, max=6, step=0.5))
def turn(x, z):
    return branches(x, 5.0, z)[0].graph(title="f = x y + max(x, z)")


# %%
f, x = branches(-2.0, 5.0, -4.0)
f.explain(x)

# %% [markdown]
# Where a value takes several ways to the output, **the gradients of its ways add up**. That is all of backpropagation:
# slopes multiply along a way, and ways add up.
#
# Go back to the sliders and turn x. Where does the maximum change its mind, and what happens to the slope of x there?

# %% [markdown]
# ## Stages
#
# A formula that nobody wants to differentiate as a whole:
#
# $$f = \frac{x + \sigma(y)}{\sigma(x) + (x + y)^2}$$
#
# Nobody has to. Compute it in stages so small that you know the slope of each, and give every stage a name.

# %%
x, y = Tensor(3.0, name="x"), Tensor(-4.0, name="y")
sy = y.sigmoid()  # 1
num = x + sy  # 2, the numerator
sx = x.sigmoid()  # 3
t = x + y  # 4
t2 = t**2  # 5
den = sx + t2  # 6, the denominator
inv = 1 / den  # 7
f = num * inv  # 8
print(f"f = {f.item():.6f}")

# %% [markdown]
# Backward, the stages come in the opposite order, with a line for each input: what arrived at the stage, times the
# stage's own slope. The first three stages, 8 to 6, are here. The values of the forward pass are needed again, as
# `num.data`.

# %%
num.grad = inv.data  # 8: f = num * inv
inv.grad = num.data
den.grad = -1 / den.data**2 * inv.grad  # 7: inv = 1 / den
sx.grad = den.grad  # 6: den = sx + t2
t2.grad = den.grad

# %% [markdown]
# **Exercise 3.** Write the other five. x and y are used more than once: what they get adds up. The slope of
# `s = sigmoid(v)` is `s (1 - s)`.

# %% nbgrader={"grade": false, "grade_id": "gates-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
# t.grad = ...  # 5: t2 = t ** 2, and so on to 1
### BEGIN SOLUTION
t.grad = 2 * t.data * t2.grad  # 5: t2 = t ** 2
x.grad = t.grad  # 4: t = x + y
y.grad = t.grad
x.grad = x.grad + sx.data * (1 - sx.data) * sx.grad  # 3: sx = sigmoid(x)
x.grad = x.grad + num.grad  # 2: num = x + sy
sy.grad = num.grad
y.grad = y.grad + sy.data * (1 - sy.data) * sy.grad  # 1: sy = sigmoid(y)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "gates-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "each line is what arrived, times the stage's own slope; x has three ways to f, y has two, and ways add up"
check_gradients(f, hint=hint)

# %% [markdown]
# The commonest mistake is to write `=` where a second way comes in: then the last way is all that is left. Let us make
# it, and ask the picture what it thinks of it.

# %%
right = x.grad
x.grad = num.grad  # instead of x.grad + num.grad
picture = f.graph(gradients="grad", title="x.grad = num.grad")
x.grad = right
picture

# %% [markdown]
# ## Matrices: let the shapes tell
#
# In D = W X nothing is new: every element of D is a sum of products. But nobody wants to go through them one by one.
#
# **Predict.** W is (2, 3), X is (3, 4). What shape does D have? What shapes do the gradients of W and of X have? With
# the gradient of D in hand, of which product of matrices can each be made?

# %%
rng = np.random.default_rng(0)
W = Tensor(rng.integers(-3, 4, (2, 3)).astype(float), name="W")
X = Tensor(rng.integers(-3, 4, (3, 4)).astype(float), name="X")
D = W @ X
D.backward(np.ones(D.shape))
print("D", D.shape, "  gradient of W", W.grad.shape, "  gradient of X", X.grad.shape)

# %% [markdown]
# A gradient has the shape of what it belongs to: each element says how steeply the output depends on that element. The
# gradient of W is (2, 3), made of dD, (2, 4), and X, (3, 4). One product alone has that shape: (2, 4) times (4, 3),
# which is dD Xᵀ. You need not remember the formula; **the shapes leave no other**.

# %% [markdown]
# **Exercise 4.** Write the backward pass of D = W X.


# %% nbgrader={"grade": false, "grade_id": "gates-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matmul_backward(dD, W, X):
    """The gradients of W and X, from that of D = W @ X; all of them arrays."""
    ### BEGIN SOLUTION
    return dD @ X.T, W.T @ dD
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gates-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def through_tensors(dD, W, X):
    W, X = Tensor(W), Tensor(X)
    return gradients(W @ X, (W, X), gradient=dD)


dD = np.arange(8.0).reshape(2, 4)
hint = "dW is (2, 3), of dD (2, 4) and X (3, 4); dX is (3, 4), of W (2, 3) and dD: which must be transposed, on which side?"
check(matmul_backward, through_tensors, at=[(dD, W.data, X.data)], hint=hint)
### BEGIN HIDDEN TESTS
G, A, B = rng.normal(size=(5, 3)), rng.normal(size=(5, 10)), rng.normal(size=(10, 3))
check(matmul_backward(G, A, B), (G @ B.T, A.T @ G))
### END HIDDEN TESTS

# %% [markdown]
# The picture knows the formulas, too: at every wire stands what the product hands back there.

# %%
D = W @ X
D.backward(dD)
D.graph(title="D = W X")

# %% [markdown]
# ## A layer
#
# A layer of a network takes n examples, one in a row: Z = X Wᵀ + b, with X (n, in), W (out, in) and b (out,). NumPy adds
# the bias to each of the n rows, so b is a value that is used n times.

# %% [markdown]
# **Exercise 5.** Write its backward pass. What is right for a value that is used n times?


# %% nbgrader={"grade": false, "grade_id": "gates-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_backward(dZ, X, W):
    """The gradients of X, W and b, from dZ (n, out)."""
    ### BEGIN SOLUTION
    return dZ @ W, dZ.T @ X, dZ.sum(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gates-5-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def through_tensors(dZ, X, W):
    X, W, b = Tensor(X), Tensor(W), Tensor(np.zeros(len(W)))
    return gradients(X @ W.T + b, (X, W, b), gradient=dZ)


dZ, X, W = [rng.normal(size=shape) for shape in ((6, 2), (6, 3), (2, 3))]
hint = "dX (n, in) is made of dZ (n, out) and W (out, in), dW of dZ and X; b went into n rows: what it gets adds up"
check(layer_backward, through_tensors, at=[(dZ, X, W)], hint=hint)
### BEGIN HIDDEN TESTS
G, A, B = rng.normal(size=(4, 5)), rng.normal(size=(4, 7)), rng.normal(size=(5, 7))
check(layer_backward(G, A, B), (G @ B, G.T @ A, G.sum(axis=0)))
### END HIDDEN TESTS

# %% [markdown]
# ## What to take home
#
# - A gate needs its own slope and nothing else; add distributes, multiply swaps, max routes.
# - Slopes multiply along a way, ways add up.
# - Take a formula apart until each stage is a slope that you know.
# - A gradient has the shape of its tensor, and the shapes tell how to transpose.

# %%
score()
