# %% [markdown]
# # 3. Your own engine
#
# Today you write the program that differentiates programs. It has some forty lines, you write the heart of it, and it
# trains a network. You learn what a number must remember, why the way back needs an order, and what the library does
# beyond that.

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import inspect
import os
from itertools import pairwise

import numpy as np
from ipywidgets import IntSlider, interact

from tinygrad_edu import Tensor, draw, nn, optim, plots
from tinygrad_edu.engine.autograd import backward_pass
from tinygrad_edu.teach import check, score

QUICK = bool(os.environ.get("TINYGRAD_EDU_QUICK"))

# %% [markdown]
# ## What a number must remember
#
# After `y = a + b` Python knows y and has forgotten how it came about. To walk back from y to a and b we need two
# things more.
#
# **Predict.** Which? Think of one gate: what must be kept of the forward pass, so that the gradient of y can be handed
# on?


# %%
class Value:
    """A number, the Values it was made of, and its slope with respect to each of them."""

    def __init__(self, data, inputs=(), slopes=()):
        self.data, self.inputs, self.slopes, self.grad = data, inputs, slopes, 0.0

    def __repr__(self):
        return f"Value({self.data:g})"


def add(a, b):
    return Value(a.data + b.data, inputs=(a, b), slopes=(1.0, 1.0))


y = add(Value(2.0), Value(-0.5))
print(y, "was made of", y.inputs, "with the slopes", y.slopes)

# %% [markdown]
# That is all: **the inputs, and a slope for each of them**. The slopes are known at once, while the numbers are there.

# %% [markdown]
# **Exercise 1.** Write the product. How steeply does a·b depend on a, and how steeply on b?


# %% nbgrader={"grade": false, "grade_id": "engine-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multiply(a, b):
    ### BEGIN SOLUTION
    return Value(a.data * b.data, inputs=(a, b), slopes=(b.data, a.data))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "engine-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
a, b = Value(2.0), Value(-3.0)
y = multiply(a, b)
check(type(y).__name__, "Value", hint="return Value(data, inputs, slopes)", name="what comes back")
check(y.data, -6.0, hint="the data is the product of the data", name="data")
check(y.inputs, (a, b), hint="the inputs are (a, b), the Values themselves", name="inputs")
check(y.slopes, (-3.0, 2.0), hint="a counts b times, and b counts a times", name="slopes")
### BEGIN HIDDEN TESTS
check(multiply(Value(0.5), Value(4.0)).slopes, (4.0, 0.5))
### END HIDDEN TESTS

# %% [markdown]
# Python calls `a.__add__(b)` for `a + b`. Where one of the two is a plain number, we make a Value of it.


# %%
def value(x):
    return x if isinstance(x, Value) else Value(x)


Value.__add__ = Value.__radd__ = lambda a, b: add(a, value(b))
Value.__mul__ = Value.__rmul__ = lambda a, b: multiply(a, value(b))
Value.__sub__ = lambda a, b: a + value(b) * -1.0

a, b = Value(2.0), Value(-0.5)
print(2 * a * b + b - 1, "for a = 2 and b = −0.5")

# %% [markdown]
# ## First attempt: hand it on at once
#
# The gradient arrives; keep it, and hand it to each input, times its slope.


# %%
def overwrite(y, g=1.0):
    y.grad = g
    for x, slope in zip(y.inputs, y.slopes, strict=True):
        overwrite(x, slope * g)


a, b = Value(2.0), Value(-0.5)
overwrite(a * b)
print("a·b:  slope to a", a.grad, " slope to b", b.grad)

# %% [markdown]
# Right. **Predict** before you run the next cell: what does this attempt find for b + b, and what is right?

# %%
b = Value(-0.5)
overwrite(b + b)
print("b + b:  slope to b", b.grad)

# %% [markdown]
# The slope is 2. The second way to b wrote over what the first had brought: a number that is used twice has to **add up
# what comes**.
#
# ## Second attempt: add up along every way


# %%
def every_way(y, g=1.0):
    """Returns how many numbers it visited."""
    y.grad += g
    return 1 + sum(every_way(x, slope * g) for x, slope in zip(y.inputs, y.slopes, strict=True))


b = Value(-0.5)
visits = every_way(b + b)
print("b + b:  slope to b", b.grad, "after", visits, "visits")

# %% [markdown]
# All right now? Take x + x, add the sum to itself, and so on. The picture is the library's, which can draw it.


# %%
def doubled(x, times):
    for _ in range(times):
        x = x + x
    return x


@interact(times=IntSlider(3, min=1, max=6))
def turn(times):
    title = f"{times + 1} numbers, {2**times} ways from the end to x"
    return doubled(Tensor(1.0, name="x"), times).graph(title=title)


# %% [markdown]
# **Predict.** After 10 additions there are 11 numbers. How many visits does the second attempt make? And after 20?

# %%
doublings = range(1, 13 if QUICK else 17)
counts = [every_way(doubled(Value(1.0), n)) for n in doublings]
print("after 10 additions:", counts[9], "visits")

lines = {"every way": (doublings, counts), "each number once": (doublings, [n + 1 for n in doublings])}
plots.curves({"visits on the way back": lines}, xlabel="additions", yscale="log", markers=True)

# %% [markdown]
# Every addition doubles the ways: after 20 there are two million visits, after 50 the computer is busy for years.
# Networks use their numbers again and again, so this will not do.
#
# ## Third attempt: each number once, in order
#
# A number may hand on its gradient only when **everything that was made of it** has handed on its own. So: list the
# numbers, each after all that it was made of, and walk through the list from its end.

# %% [markdown]
# **Exercise 2.** Write that list. Visit the inputs of a number first, then append the number itself; and visit no number
# twice.


# %% nbgrader={"grade": false, "grade_id": "engine-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def in_order(y):
    """All numbers that y was made of, each after its own inputs; y comes last."""
    order, seen = [], set()

    def visit(number):
        ### BEGIN SOLUTION
        if number not in seen:
            seen.add(number)
            for x in number.inputs:
                visit(x)
            order.append(number)
        ### END SOLUTION

    visit(y)
    return order


# %% nbgrader={"grade": true, "grade_id": "engine-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
y = doubled(Value(1.0), 3)
numbers = in_order(y)
types = {type(number).__name__ for number in numbers}
check(types, {"Value"}, hint="append each number, the Value itself", name="what is in it")
check(len(numbers), 4, hint="there are four numbers, and each comes once: is it in `seen`?", name="how many")
data = [number.data for number in numbers]
check(data, [1.0, 2.0, 4.0, 8.0], hint="the inputs come first, so append a number after its inputs", name="order")
### BEGIN HIDDEN TESTS
p = Value(3.0)
q = p * p
order = in_order(q * p + q)
check(len(order), 4)
check([all(order.index(x) < i for x in number.inputs) for i, number in enumerate(order)], [True] * 4)
### END HIDDEN TESTS

# %% [markdown]
# **Exercise 3.** Now the engine itself. Set the gradient of y to 1; then walk through the list from its end, and let
# each number add to the gradients of its inputs what belongs to them.


# %% nbgrader={"grade": false, "grade_id": "engine-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def backward(y):
    """Fills `grad` of every number that y was made of."""
    ### BEGIN SOLUTION
    y.grad = 1.0
    for number in reversed(in_order(y)):
        for x, slope in zip(number.inputs, number.slopes, strict=True):
            x.grad += slope * number.grad
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "engine-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
a, b = Value(2.0), Value(-3.0)
backward(a * b)
check((a.grad, b.grad), (-3.0, 2.0), hint="y.grad starts as 1; an input gets its slope times that", name="a·b")
b = Value(-0.5)
backward(b + b)
check(b.grad, 2.0, hint="b comes in twice: add to its gradient, do not write over it", name="b + b")
x = Value(1.0)
backward(doubled(x, 10))
check(x.grad, 1024.0, hint="reversed(in_order(y)); each slope times number.grad", name="10 additions")
### BEGIN HIDDEN TESTS
p = Value(3.0)
q = p * p
backward(q * p + q)
check((p.grad, q.grad), (33.0, 4.0))
### END HIDDEN TESTS

# %%
x = Value(1.0)
backward(doubled(x, 40))
print(f"after 40 additions: slope {x.grad:,.0f}")

# %% [markdown]
# A trillion ways, and no time. That is all of the engine. A network needs one thing more: a bend.

# %% [markdown]
# **Exercise 4.** Write tanh; its slope at a is 1 − tanh(a)².


# %% nbgrader={"grade": false, "grade_id": "engine-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tanh(a):
    ### BEGIN SOLUTION
    t = np.tanh(a.data)
    return Value(t, inputs=(a,), slopes=(1 - t**2,))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "engine-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
a = Value(0.5)
y = tanh(a)
check(type(y).__name__, "Value", hint="return Value(data, inputs, slopes)", name="what comes back")
check(y.data, np.tanh(0.5), hint="np.tanh of the data", name="data")
check(y.inputs, (a,), hint="inputs is a tuple of one: (a,)", name="inputs")
t = Tensor(0.5)
t.tanh().backward()
check(y.slopes, (t.grad,), hint="1 − tanh(a)², as a tuple of one: (slope,)", name="slopes")
backward(y)
check(a.grad, t.grad, name="gradient")
### BEGIN HIDDEN TESTS
check(tanh(Value(-2.0)).slopes, (1 - np.tanh(-2.0) ** 2,))
### END HIDDEN TESTS

# %% [markdown]
# The judge is the library: the same expression, once of your numbers, once of its Tensors. Some numbers are used twice.

# %%
Value.tanh = tanh


def expression(a, b, c):
    product = a * b
    answer = (product + c + b).tanh()
    return answer * answer + product * answer


values, tensors = [[kind(x) for x in (2.0, -0.5, 1.0)] for kind in (Value, Tensor)]
backward(expression(*values))
y = expression(*tensors)
y.backward()
for name, v, t in zip("abc", values, tensors, strict=True):
    print(f"slope to {name}:  yours {v.grad:9.6f}   the library's {t.grad:9.6f}")

# %%
draw.call(expression, *tensors, names=dict(zip("abc", tensors, strict=True)), title="drawn by the library")

# %% [markdown]
# ## A network of your numbers
#
# A neuron weighs its inputs, adds a bias, and bends the sum; a layer is a list of neurons. This one has three inputs, two
# layers of four neurons and one output (micrograd's example): 41 numbers to learn.

# %%
rng = np.random.default_rng(1)
SIZES = [3, 4, 4, 1]
start = [(rng.uniform(-1, 1, (n, m)), rng.uniform(-1, 1, n)) for m, n in pairwise(SIZES)]
layers = [[([Value(w) for w in row], Value(bias)) for row, bias in zip(W, b, strict=True)] for W, b in start]
parameters = [v for layer in layers for weights, bias in layer for v in [*weights, bias]]


def network(x):
    for layer in layers:
        x = [sum((w * xi for w, xi in zip(weights, x, strict=True)), bias).tanh() for weights, bias in layer]
    return x[0]


print(len(parameters), "parameters; the answer to (2, 3, −1) is", network([2.0, 3.0, -1.0]))

# %%
inputs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
targets = [1.0, -1.0, -1.0, 1.0]


def loss_of(network):
    errors = [network(x) - target for x, target in zip(inputs, targets, strict=True)]
    return sum((e * e for e in errors), Value(0.0))


print("the sum of the squared errors is", loss_of(network))

# %% [markdown]
# **Exercise 5.** Write one step of gradient descent: every parameter goes `lr` times its gradient downhill. And then its
# gradient must be 0 again, as the next backward pass will add to it.


# %% nbgrader={"grade": false, "grade_id": "engine-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def step(parameters, lr):
    ### BEGIN SOLUTION
    for p in parameters:
        p.data -= lr * p.grad
        p.grad = 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "engine-5-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
p, q = Value(1.0), Value(-1.0)
p.grad, q.grad = 4.0, -2.0
step([p, q], lr=0.1)
check([p.data, q.data], [0.6, -0.8], hint="each goes downhill: minus lr times grad; only then grad = 0", name="data")
check([p.grad, q.grad], [0.0, 0.0], hint="each back to 0, or the next backward pass adds to the old one", name="grad")
### BEGIN HIDDEN TESTS
q.grad = -2.0
step([p, q], lr=0.5)
check((p.data, q.data, q.grad), (0.6, 0.2, 0.0))
### END HIDDEN TESTS

# %%
yours = []
for _ in range(50):
    loss = loss_of(network)
    yours.append(loss.data)
    backward(loss)
    step(parameters, lr=0.05)
print(f"loss at first {yours[0]:.4f}, after 50 steps {yours[-1]:.4f}")
print("answers", *[f"{network(x).data:.2f}" for x in inputs], "  targets", *targets)

# %% [markdown]
# Your engine trains a network. Here is the same network in the library, from the same weights.
#
# **Predict.** How far apart are the two loss curves?

# %%
model = nn.MLP(SIZES, activation="tanh", dtype=float).append(nn.Tanh())
linear = [layer for layer in model if isinstance(layer, nn.Linear)]
for layer, (W, b) in zip(linear, start, strict=True):
    layer.weight.assign(W)
    layer.bias.assign(b)
optimizer = optim.SGD(model.parameters(), lr=0.05)
theirs = []
for _ in range(50):
    loss = ((model(inputs)[:, 0] - np.array(targets)) ** 2).sum()
    theirs.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("apart by less than 1e-12:", np.allclose(yours, theirs, rtol=0, atol=1e-12))

# %%
steps = range(50)
plots.curves({"loss": {"yours": (steps, yours), "the library's": (steps, theirs)}}, xlabel="step")

# %% [markdown]
# ## What it cannot do yet
#
# Two things. `in_order` calls itself, and Python does not go very deep. And a Value is one number: an array would need a
# rule for broadcasting.

# %%
try:
    backward(sum([Value(1.0)] * 5000))
except RecursionError as error:
    print("5,000 additions in a row:", type(error).__name__)
x = Tensor(1.0)
sum([x] * 5000).backward()
print("the library's slope:", x.grad)

# %%
x, b = Value(np.array([1.0, 2.0, 3.0])), Value(10.0)
backward(x + b)
print("three numbers + b: your slope to b is", b.grad)
x, b = Tensor([1.0, 2.0, 3.0]), Tensor(10.0)
(x + b).sum().backward()
print("the library's is", b.grad, "as b went into three sums")

# %% [markdown]
# The library does as your third attempt, without recursion and for arrays of any shape. Its way back fits on a screen.

# %%
print(inspect.getsource(backward_pass))

# %%
score()
