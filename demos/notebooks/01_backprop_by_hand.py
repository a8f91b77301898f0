# %% [markdown]
# # 1. Backprop by hand
#
# How much does the result of a formula change when one of its inputs changes a little? That question is all that a
# network asks while it learns. You answer it with pencil and paper: number by number, from the result back to the
# inputs, by the chain rule. Then the computer draws the same numbers, and checks yours.

# %%
try:
    import tinygrad_edu
except ModuleNotFoundError:
    # %pip install -q "tinygrad-edu[demos] @ git+https://github.com/tinygrad-edu/tinygrad_edu"
    pass

# %%
import numpy as np
from ipywidgets import FloatSlider, interact

from tinygrad_edu import Tensor
from tinygrad_edu.teach import check, check_gradients, score

# %% [markdown]
# ## A nudge
#
# Take f = (x + y) z with x = −2, y = 5 and z = −4, so f = −12. You may add 0.01 to one of the three inputs.
#
# **Predict.** Which input raises f, and which one changes it the most? Write your guess down, then run the next cell.


# %%
def f_of(x, y, z):
    return (x + y) * z


start = {"x": -2.0, "y": 5.0, "z": -4.0}
for name in start:
    nudged = {**start, name: start[name] + 0.01}
    change = f_of(**nudged) - f_of(**start)
    print(f"{name} + 0.01 changes f by {change:+.2f}: {change / 0.01:+.0f} times the nudge")

# %% [markdown]
# Only z raises f, and x and y change it the most. The change divided by the nudge is a *slope*: ∂f/∂x = −4 says that f
# goes down four times as fast as x goes up. Nudging every input costs one more evaluation each, and a network has millions of inputs. Backprop gets all
# slopes in one walk.

# %% [markdown]
# ## The circuit, forward
#
# A formula is a circuit of gates, and each gate computes one thing. From left to right flow the values, in blue.

# %%
x, y, z = Tensor(-2.0), Tensor(5.0), Tensor(-4.0)
q = x + y
f = q * z
f.graph(mode="forward")

# %% [markdown]
# ## And backward
#
# Now walk from right to left, and ask each wire: if the number on you grows by 1, by how much does f grow?
#
# - At f itself that is 1.
# - f = q z, so q counts z times and z counts q times: −4 and 3.
# - q = x + y, so x counts as much as q does, and so does y: −4 and −4.
#
# **Predict** which numbers stand on the wires into x, y and z, then look at the gradients, in orange.

# %%
f.graph(mode="backward")

# %% [markdown]
# Each gate did the same small thing: it took the number that came to its output and multiplied it by its own slope.
# That is the chain rule: ∂f/∂x = ∂f/∂q · ∂q/∂x. `explain` writes it out as you would on paper.

# %%
f.explain(x, z)

# %% [markdown]
# Values and gradients belong together: the gradient of z *is* the value of q. Turn the sliders. When is the gradient of
# x positive? What must x and y be for z to get 0?


# %%
@interact(x=FloatSlider(-2, min=-6, max=6), y=FloatSlider(5, min=-6, max=6), z=FloatSlider(-4, min=-6, max=6))
def turn(x, y, z):
    x, y, z = Tensor(x, name="x"), Tensor(y, name="y"), Tensor(z, name="z")
    q = x + y
    f = q * z
    return f.graph()


# %% [markdown]
# **Exercise 1.** On paper: f = (x + y) z, but with x = 4, y = −1 and z = −2. Draw the circuit, fill in the values, then
# walk back. Which gradients do x, y and z get?

# %% nbgrader={"grade": false, "grade_id": "by-hand-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
# df_dx, df_dy, df_dz = three numbers
### BEGIN SOLUTION
df_dx, df_dy, df_dz = -2.0, -2.0, 3.0
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "by-hand-1-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
x, y, z = Tensor(4.0), Tensor(-1.0), Tensor(-2.0)
((x + y) * z).backward()
hint = "the product hands each input the other one's value; the sum hands on what it got, to both"
check({"x": df_dx, "y": df_dy, "z": df_dz}, {"x": x.grad, "y": y.grad, "z": z.grad}, hint=hint, name="gradient")

# %% [markdown]
# ## Longer circuits
#
# Nothing new happens in a longer one. In g = (x y + z)² there are three gates. Go forward and remember the values, then
# backward: at each gate multiply what arrived by the gate's own slope. The square's slope is twice its input.

# %%
x, y, z = Tensor(2.0), Tensor(3.0), Tensor(-1.0)
p = x * y
s = p + z
g = s**2
g.graph(mode="forward")

# %% [markdown]
# **Exercise 2.** Write the walk as a program, for any x, y and z: first p and s as above, then ∂g/∂s, and from it the
# gradients of x, y and z. Return these three.


# %% nbgrader={"grade": false, "grade_id": "by-hand-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradients_of_g(x, y, z):
    """The gradients of g = (x y + z)² with respect to x, y and z."""
    ### BEGIN SOLUTION
    p = x * y
    s = p + z
    dg_ds = 2 * s
    return dg_ds * y, dg_ds * x, dg_ds
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "by-hand-2-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
hint = "∂g/∂s = 2s goes to z as it is; x gets it times y, and y gets it times x"
check(gradients_of_g(2.0, 3.0, -1.0), (30.0, 20.0, 10.0), hint=hint)
### BEGIN HIDDEN TESTS
check(gradients_of_g(-1.0, 0.5, 2.0), (1.5, -3.0, 3.0), hint=hint)
### END HIDDEN TESTS

# %% [markdown]
# ## A value used twice
#
# In f = x y + x the input x has two ways to f. With x = 3 and y = −2 the product hands it −2, and the sum hands it 1.
#
# **Predict** the gradient of x: −2, 1, or something else? Think of the nudge: what happens to f when x grows by 1?

# %%
x, y = Tensor(3.0), Tensor(-2.0)
p = x * y
f = p + x
f.graph()

# %% [markdown]
# When x grows by 1, the product loses 2 and the other way brings 1: together −1. **Where a value takes several ways to
# the result, its gradients add up.** A forgotten way is the commonest mistake of all in backprop by hand.

# %% [markdown]
# **Exercise 3.** Here s = x + y and f = s x, with x = 3 and y = −2. Walk back by hand, and set `s.grad`, `x.grad` and
# `y.grad` to the numbers that you find.

# %%
x, y = Tensor(3.0), Tensor(-2.0)
s = x + y
f = s * x

# %% nbgrader={"grade": false, "grade_id": "by-hand-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
# s.grad, x.grad, y.grad = three numbers
### BEGIN SOLUTION
s.grad, x.grad, y.grad = 3.0, 4.0, 3.0
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "by-hand-3-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check_gradients(f, hint="x has two ways to f: straight into the product, and through s")

# %% [markdown]
# The picture can carry the same marks, which helps to find where a walk went wrong. Set a wrong number above, and run
# the next cell again.

# %%
f.graph(gradients="grad")

# %% [markdown]
# ## A sigmoid in stages
#
# The sigmoid σ(z) = 1 / (1 + e⁻ᶻ) squeezes any number between 0 and 1. Its slope looks like hard work, but in stages
# each gate is easy: negate, exponentiate, add 1, divide. Here z = 1.

# %%
z = Tensor(1.0)
n = -z
e = np.exp(n)
d = 1 + e
a = 1 / d
a.graph(style="fused", rankdir="TB")

# %% [markdown]
# Four small slopes multiplied gave 0.197. On paper most of them cancel, and what remains is short: a (1 − a), where a
# is the sigmoid's value, here 0.731 · 0.269. So whoever has the value has the slope, and σ may be *one* gate.

# %%
w, b = Tensor(0.5), Tensor(0.0)
x, target = Tensor(2.0, requires_grad=False), Tensor(1.0, requires_grad=False)
z = w * x + b
a = z.sigmoid()
loss = (target - a) ** 2
loss.explain(w)

# %% [markdown]
# ## The judge
#
# How do you know that a gradient is right? Ask the nudge. A *finite difference* takes a small step h to both sides:
# (f(x + h) − f(x − h)) / (2h). It knows nothing of the chain rule, so it can judge whoever does.

# %% [markdown]
# **Exercise 4.** Write the judge: the slope of any function f of one number, at x.


# %% nbgrader={"grade": false, "grade_id": "by-hand-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slope(f, x, h=1e-5):
    """The slope of f at x, from the values of f at x − h and x + h."""
    ### BEGIN SOLUTION
    return (f(x + h) - f(x - h)) / (2 * h)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "by-hand-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check(slope(lambda x: x**2, 3.0), 6.0, hint="from x − h to x + h it is 2h, and the later value comes first")
check(slope(lambda x: x**3, 1.0, h=0.5), 3.25, hint="h to both sides: from f(0.5) to f(1.5), and that over 1")
### BEGIN HIDDEN TESTS
check(slope(np.sin, 1.0), np.cos(1.0))
check(slope(lambda x: 1 / x, 2.0, h=1.0), -1 / 3)
### END HIDDEN TESTS

# %% [markdown]
# **Predict.** Does the judge get better and better as h gets smaller? He looks at the sigmoid at z = 1 here, where the
# slope is a (1 − a).


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


right = sigmoid(1.0) * (1 - sigmoid(1.0))
for exponent in (1, 3, 5, 7, 9, 11, 13):
    found = slope(sigmoid, 1.0, h=10.0**-exponent)
    print(f"h = 1e-{exponent:02}: {found:.12f}, off by {abs(found - right):.0e}")

# %% [markdown]
# No. A large step sees the bend of the curve, and a tiny one sees how numbers are rounded: the difference of two almost
# equal numbers keeps few digits. In between, near 1e-5, more than ten digits are right. That is how this library is tested:
# `gradcheck(f, x)` asks the judge about every gradient.

# %%
score()
