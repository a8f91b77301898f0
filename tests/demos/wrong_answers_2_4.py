"""Typical wrong answers to the exercises of the notebooks 2 to 4, and what is said of them."""

MAX = "def max_backward(g, x, y):\n    "
MATMUL = "def matmul_backward(dD, W, X):\n    "
LAYER = "def layer_backward(dZ, X, W):\n    "
VISIT = "[visit(x) for x in number.inputs]"
MULTIPLY = "def multiply(a, b):\n    "
TANH = "def tanh(a):\n    t = np.tanh(a.data)\n    "
NEURON = "def neuron(x, w, b):\n    "
ENTROPY = "def cross_entropy(z, label):\n    p = np.exp(z) / np.exp(z).sum()\n    "
SLOPE = "def cross_entropy_slope(z, label):\n    p = np.exp(z) / np.exp(z).sum()\n    "


def stages(**changed):
    """The answer to gates-3 where some of the five stages are changed."""
    right = {
        "t": "t.grad = 2 * t.data * t2.grad",
        "t_inputs": "x.grad = t.grad\ny.grad = t.grad",
        "sx_input": "x.grad = x.grad + sx.data * (1 - sx.data) * sx.grad",
        "num_inputs": "x.grad = x.grad + num.grad\nsy.grad = num.grad",
        "sy_input": "y.grad = y.grad + sy.data * (1 - sy.data) * sy.grad",
    }
    return "\n".join((right | changed).values())


def in_order(*body):
    """The answer to engine-2 with these lines in `visit`."""
    inner = "\n".join([f"        {line}" for line in body])
    head = "def in_order(y):\n    order, seen = [], set()\n    def visit(number):"
    return f"{head}\n{inner}\n    visit(y)\n    return order"


def backward(seed="1.0", order="reversed(in_order(y))", add="x.grad += slope * number.grad"):
    """The answer to engine-3 with one part changed."""
    loop = "for x, slope in zip(number.inputs, number.slopes):"
    return f"def backward(y):\n    y.grad = {seed}\n    for number in {order}:\n        {loop}\n            {add}"


def step(*body):
    """The answer to engine-5 with these lines for each parameter."""
    return "\n        ".join(["def step(parameters, lr):\n    for p in parameters:", *body])


def slopes(dL_da="-2.0", da_dz="1.0", dz_dw="3.0", dL_dw="dL_da * da_dz * dz_dw", new_w="0.5 - 0.1 * dL_dw"):
    """The answer to neurons-2 with one number changed."""
    return f"dL_da, da_dz, dz_dw = {dL_da}, {da_dz}, {dz_dw}\ndL_dw = {dL_dw}\nnew_w = {new_w}"


def descend(*body, back="places"):
    """The answer to neurons-5 with these lines for each step."""
    lines = "\n        ".join(["for _ in range(steps):", *body])
    return f"def descend(slope, x, lr, steps):\n    places = [x]\n    {lines}\n    return {back}"


WRONG = [
    ("gates-1", f"{MAX}return (g, 0.0) if x < y else (0.0, g)", "two values swapped. Hint: the larger input gets all"),
    ("gates-1", f"{MAX}return (g, g)", "answer[0] = 3 is not right. Hint: the larger input gets all of g, the other"),
    (
        "gates-1",
        f"{MAX}return (1.0, 0.0) if x > y else (0.0, 1.0)",
        "1/3 of the right one. Hint: the larger input gets",
    ),
    ("gates-1", f"{MAX}return (0.0, g)", "two values swapped. Hint: which one is larger depends on x and y"),
    ("gates-1", f"{MAX}return 0.0, max(x, y)", "answer[1] = 5 is not right. Hint: the larger input gets all of g"),
    ("gates-1", f"{MAX}if x > y:\n        return g, 0.0", "None: no value; is a return missing"),
    ("gates-1", f"{MAX}...", "None: no value; is a return missing"),
    ("gates-2", 'slopes = {"x": -4.0, "y": 3.0, "z": 1.0, "w": 0.0}', "3 of 4 values are wrong. Hint: f is 2 times s"),
    (
        "gates-2",
        'slopes = {"x": 6.0, "y": -8.0, "z": 2.0, "w": 0.0}',
        "the right values, but two values swapped. Hint: f",
    ),
    (
        "gates-2",
        'slopes = {"x": -8.0, "y": 6.0, "z": 2.0, "w": 2.0}',
        "slopes['w'] = 2 is not right. Hint: f is 2 times",
    ),
    ("gates-2", 'slopes = {"x": 8.0, "y": 6.0, "z": 2.0, "w": 0.0}', "slopes['x'] = 8: wrong sign"),
    ("gates-2", 'slopes = {"x": -8.0, "y": 6.0, "z": 2.0}', "slopes['w']: missing"),
    ("gates-2", 'slopes = {"x": -8.0, "y": 6.0, "z": 2.0, "w": ...}', "slopes['w'] = ...: still to be filled in"),
    ("gates-3", stages(num_inputs="x.grad = num.grad\nsy.grad = num.grad"), "x (only 1 of 3 paths). Hint: each line"),
    (
        "gates-3",
        stages(sx_input="x.grad = sx.data * (1 - sx.data) * sx.grad"),
        "x (only 2 of 3 paths). Hint: each line",
    ),
    (
        "gates-3",
        stages(sy_input="y.grad = sy.data * (1 - sy.data) * sy.grad"),
        "y (only 1 of 2 paths). Hint: each line",
    ),
    ("gates-3", stages(t="t.grad = t.data * t2.grad"), "t (half the right one). Hint: each line is what arrived"),
    ("gates-3", stages(t="t.grad = 2 * t.data"), "t (wrong). Hint: each line is what arrived, times the stage's own"),
    (
        "gates-3",
        stages(sy_input="y.grad = y.grad + sy.data * (1 - sy.data)"),
        "y (off by 0.54%). Hint: each line is what",
    ),
    ("gates-3", "...", "y (not set), x (not set). Hint: each line is what arrived, times the stage's own slope"),
    ("gates-4", f"{MATMUL}return dD @ X, W @ dD", "raises ValueError: matmul: "),
    ("gates-4", f"{MATMUL}return X @ dD.T, W.T @ dD", "transposed: shape [3×2] instead of [2×3]. Hint: dW is (2, 3)"),
    ("gates-4", f"{MATMUL}return dD @ X.T, dD.T @ W", "result[1] is not right: transposed: shape [4×3] instead of"),
    ("gates-4", f"{MATMUL}return W.T @ dD, dD @ X.T", "the right values, but two values swapped"),
    ("gates-4", f"{MATMUL}return X.T, W.T", "result[0] is not right: shape [4×3] instead of [2×3]. Hint: dW is"),
    ("gates-4", f"{MATMUL}return -dD @ X.T, -W.T @ dD", "wrong sign. Hint: dW is (2, 3), of dD (2, 4) and X (3, 4)"),
    ("gates-4", f"{MATMUL}return dD @ X.T", "one value of type ndarray instead of 2 values"),
    ("gates-4", f"{MATMUL}dW, dX = dD @ X.T, W.T @ dD", "None: no value; is a return missing"),
    ("gates-5", f"{LAYER}return dZ @ W, dZ.T @ X, dZ", "not summed over axis 0: shape [6×2] instead of [2]. Hint: dX"),
    (
        "gates-5",
        f"{LAYER}return dZ @ W, dZ.T @ X, dZ.mean(axis=0)",
        "1/6 of the right one. Hint: dX (n, in) is made of",
    ),
    (
        "gates-5",
        f"{LAYER}return dZ @ W, dZ.T @ X, dZ.sum(axis=1)",
        "shape [6] instead of [2]. Hint: dX (n, in) is made",
    ),
    ("gates-5", f"{LAYER}return dZ @ W, X.T @ dZ, dZ.sum(axis=0)", "result[1] is [["),
    ("gates-5", f"{LAYER}return dZ @ W, X.T @ dZ, dZ.sum(axis=0)", "transposed: shape [3×2] instead of [2×3]"),
    ("gates-5", f"{LAYER}return dZ @ W, dZ.T @ X / len(X), dZ.sum(axis=0)", "is a mean taken where a sum should be?"),
    ("gates-5", f"{LAYER}return dZ @ W.T, dZ.T @ X, dZ.sum(axis=0)", "raises ValueError: matmul: "),
    ("gates-5", f"{LAYER}return dZ @ W, dZ.T @ X", "it is not right: 2 values instead of 3"),
    ("engine-1", f"{MULTIPLY}return a.data * b.data", "'float' is not right. Hint: return Value(data, inputs, slopes)"),
    ("engine-1", f"{MULTIPLY}Value(a.data * b.data, (a, b), (b.data, a.data))", "Hint: return Value(data, inputs,"),
    (
        "engine-1",
        f"{MULTIPLY}return Value(a.data + b.data, (a, b), (1.0, 1.0))",
        "data = −1 is not right. Hint: the data is",
    ),
    (
        "engine-1",
        f"{MULTIPLY}return Value(a.data * b.data)",
        "inputs = (): 0 values instead of 2. Hint: the inputs are",
    ),
    (
        "engine-1",
        f"{MULTIPLY}return Value(a.data * b.data, (a.data, b.data), (b.data, a.data))",
        "inputs = (2, −3): type float instead of Value. Hint: the inputs are (a, b), the Values themselves",
    ),
    (
        "engine-1",
        f"{MULTIPLY}return Value(a.data * b.data, (a, b), (a.data, b.data))",
        "the right values, but two values swapped. Hint: a counts b times",
    ),
    (
        "engine-1",
        f"{MULTIPLY}return Value(a.data * b.data, (a, b), (b, a))",
        "not numbers, but a Value. Hint: a counts",
    ),
    ("engine-1", f"{MULTIPLY}return Value(a.data * b.data, (a, b), (1.0, 1.0))", "slopes: 2 of 2 values are wrong"),
    ("engine-2", in_order(VISIT, "order.append(number)"), "how many = 15 is not right. Hint: there are four numbers"),
    (
        "engine-2",
        in_order("if number not in seen:", f"    {VISIT}", "    order.append(number)"),
        "each comes once: is it in `seen`?",
    ),
    (
        "engine-2",
        in_order("if number not in seen:", "    seen.add(number)", "    order.append(number)", f"    {VISIT}"),
        "largest difference at [0]: 8 instead of 1. Hint: the inputs come first, so append a number after its inputs",
    ),
    (
        "engine-2",
        in_order("if number not in seen:", "    seen.add(number)", f"    {VISIT}", "    order.append(number.data)"),
        "{'float'} is not right. Hint: append each number, the Value itself",
    ),
    ("engine-2", in_order("..."), "set() is not right. Hint: append each number, the Value itself"),
    ("engine-3", backward(seed="0.0"), "still 0. Hint: y.grad starts as 1; an input gets its slope times that"),
    ("engine-3", backward(add="x.grad = slope * number.grad"), "half the right one. Hint: b comes in twice: add"),
    ("engine-3", backward(order="in_order(y)"), "10 additions = 0 is not right. Hint: reversed(in_order(y))"),
    ("engine-3", backward(order="[y]"), "10 additions = 0 is not right. Hint: reversed(in_order(y))"),
    ("engine-3", backward(add="x.grad += slope"), "10 additions = 2 is not right. Hint: reversed(in_order(y)); each"),
    (
        "engine-3",
        backward(add="x.grad += number.data * number.grad"),
        "a·b: 2 of 2 values are wrong. Hint: y.grad starts as 1; an input",
    ),
    ("engine-3", "def backward(y):\n    ...", "still 0. Hint: y.grad starts as 1"),
    (
        "engine-4",
        "def tanh(a):\n    return np.tanh(a.data)",
        "'float64' is not right. Hint: return Value(data, inputs,",
    ),
    ("engine-4", f"{TANH}return Value(t)", "inputs = (): 0 values instead of 1. Hint: inputs is a tuple of one: (a,)"),
    ("engine-4", f"{TANH}return Value(t, (a), (1 - t**2))", "one value of type Value instead of a tuple of one. Hint:"),
    (
        "engine-4",
        f"{TANH}return Value(t, (a,), 1 - t**2)",
        "one value of type float64 instead of a tuple of one. Hint:",
    ),
    ("engine-4", f"{TANH}return Value(t, (a,), (t,))", "slopes[0] = 0.4621 is not right. Hint: 1 − tanh(a)²"),
    ("engine-4", f"{TANH}return Value(t, (a,), (1 - a.data**2,))", "slopes[0] = 0.75 is not right. Hint: 1 − tanh(a)²"),
    ("engine-4", f"{TANH}return Value(t, (a,), (t**2 - 1,))", "(−0.7864,): wrong sign. Hint: 1 − tanh(a)²"),
    ("engine-4", f"{TANH}return Value(t, (a,), (1 - t,))", "slopes[0] = 0.5379 is not right. Hint: 1 − tanh(a)²"),
    ("engine-5", step("p.data += lr * p.grad", "p.grad = 0.0"), "data = [1.4, −1.2]"),
    ("engine-5", step("p.data -= p.grad", "p.grad = 0.0"), "Hint: each goes downhill: minus lr times grad"),
    ("engine-5", step("p.data = -lr * p.grad", "p.grad = 0.0"), "Hint: each goes downhill: minus lr times grad"),
    ("engine-5", step("p -= lr * p.grad", "p.grad = 0.0"), "data = [1, −1]"),
    ("engine-5", step("p.grad = 0.0", "p.data -= lr * p.grad"), "only then grad = 0"),
    ("engine-5", step("p.data -= lr * p.grad"), "grad = [4, −2]"),
    ("engine-5", step("p.data -= lr * p.grad") + "\n    p.grad = 0.0", "grad = [4, 0]: wrong in 1 of 2 elements"),
    ("engine-5", step("p.data -= lr * p.grad", "p.grad = None"), "grad[0] = None: no value"),
    ("neurons-1", f"{NEURON}return w @ x + b", "the sigmoid = 0 is not right. Hint: at z = 0 the sigmoid is one half"),
    ("neurons-1", f"{NEURON}return 1 / (1 + np.exp(w @ x + b))", "0.2405 is not right. Hint: z is 1.15 here, products"),
    (
        "neurons-1",
        f"{NEURON}return 1 / (1 + np.exp(-w @ x))",
        "0.7211 is not right. Hint: z is 1.15 here, products and",
    ),
    ("neurons-1", f"{NEURON}return 1 / (1 + np.exp(-(w * x + b)))", "shape [3] instead of (). Hint: at z = 0"),
    ("neurons-1", f"{NEURON}return 1 / 1 + np.exp(-(w @ x + b))", "4 times the right one. Hint: at z = 0"),
    ("neurons-1", f"{NEURON}a = 1 / (1 + np.exp(-(w @ x + b)))", "None: no value; is a return missing"),
    ("neurons-2", slopes(dL_da="2.0"), "dL/da = 2: wrong sign. Hint: L = (y − a)²: twice (y − a), times the inner"),
    ("neurons-2", slopes(dL_da="-1.0"), "dL/da = −1: half the right one. Hint: L = (y − a)²: twice (y − a)"),
    (
        "neurons-2",
        slopes(da_dz="0.0"),
        "da/dz = 0 is not right. Hint: z is above 0, where ReLU lets everything through",
    ),
    ("neurons-2", slopes(dz_dw="0.5"), "dz/dw = 0.5 is not right. Hint: z = wx + b: w counts x times"),
    ("neurons-2", slopes(dL_dw="dL_da + da_dz + dz_dw"), "dL/dw = 2 is not right. Hint: the three slopes multiply"),
    ("neurons-2", slopes(new_w="0.5 + 0.1 * dL_dw"), "new w = −0.1 is not right. Hint: against the slope"),
    ("neurons-2", slopes(new_w="-0.1 * dL_dw"), "new w = 0.6 is not right. Hint: against the slope: w minus the rate"),
    ("neurons-2", slopes(dL_da="...", dL_dw="...", new_w="..."), "dL/da = ...: still to be filled in"),
    (
        "neurons-3",
        f"{ENTROPY}return np.log(p[label])",
        "a guess = −2.303: wrong sign. Hint: exp(0) is 1, so all shares",
    ),
    (
        "neurons-3",
        f"{ENTROPY}return -np.log2(p[label])",
        "a guess = 3.322 is not right. Hint: exp(0) is 1, so all shares",
    ),
    ("neurons-3", f"{ENTROPY}return p[label]", "minus the natural logarithm of one of them"),
    ("neurons-3", f"{ENTROPY}return -np.log(p)", "shape [10] instead of (). Hint: exp(0) is 1, so all shares"),
    (
        "neurons-3",
        f"{ENTROPY}return -np.log(p).mean()",
        "class 0 = 1.729 is not right. Hint: the natural logarithm of one",
    ),
    (
        "neurons-3",
        f"{ENTROPY}return -np.log(z[label] / (z.sum() + 1e-9))",
        "NaN or ∞. Hint: exp(0) is 1, so all shares",
    ),
    ("neurons-3", f"{ENTROPY}loss = -np.log(p[label])", "None: no value; is a return missing"),
    ("neurons-4", f"{SLOPE}return p", "largest difference at [0]: 0.7956 instead of −0.2044. Hint: p for the wrong"),
    ("neurons-4", f"{SLOPE}return np.eye(len(z))[label] - p", "wrong sign. Hint: p for the wrong classes, p − 1 for"),
    ("neurons-4", f"{SLOPE}return p - 1", "wrong in 2 of 3 elements"),
    ("neurons-4", f"{SLOPE}return p[label] - 1", "shape () instead of [3]. Hint: p for the wrong classes, p − 1 for"),
    ("neurons-4", f"{SLOPE}return (p - np.eye(len(z))[label]) / len(z)", "is a mean taken where a sum should be?"),
    ("neurons-4", f"{SLOPE}return -np.log(p[label])", "shape () instead of [3]. Hint: p for the wrong classes, p − 1"),
    ("neurons-4", f"{SLOPE}p[label] -= 1", "None: no value; is a return missing"),
    ("neurons-5", descend("x = x + lr * slope(x)", "places.append(x)"), "[−2, −3, −4.5]"),
    ("neurons-5", descend("x = x - slope(x)", "places.append(x)"), "2 instead of −1. Hint: x − lr · slope(x)"),
    ("neurons-5", descend("x = x - lr * x", "places.append(x)"), "Hint: x − lr · slope(x), with the slope at"),
    ("neurons-5", descend("places.append(x - lr * slope(x))"), "at the place where x is now; then append the new x"),
    ("neurons-5", descend("x = x - lr * slope(places[0])", "places.append(x)"), "at the place where x is now"),
    ("neurons-5", descend("places.append(x)", "x = x - lr * slope(x)"), "then append the new x"),
    ("neurons-5", descend("x = x - lr * slope(x)"), "shape [1] instead of [3]. Hint: x − lr · slope(x)"),
    ("neurons-5", descend("x = x - lr * slope(x)", "places.append(x)", back="x"), "shape () instead of [3]. Hint: x"),
]
