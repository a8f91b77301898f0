"""Typical wrong answers to the exercises of the notebooks 5 to 7, and what is said of them."""

COUNT = "def parameter_count(sizes):\n    return sum("
TRAIN = "def train_step(model, optimizer, x, y):\n    loss = cross_entropy(model(x), y)\n    "
ZERO, ITEM = "optimizer.zero_grad()\n    ", "\n    return loss.item()"
KAIMING = "def kaiming_std(n_in):\n    "
LEFT_OVER = "def left_over(layers, weight=1.0):\n    "
BATCH_NORM = "def batch_norm(x, eps=1e-5):\n    "
PLACES = "def places(size, k, stride=1, padding=0):\n    "
PATCH = "image[row : row + k, column : column + k]"
POOL = "def max_pool(image):\n    h, w = image.shape\n    "
BLOCKS = "image.reshape(h // 2, 2, w // 2, 2)"
FINDINGS = {
    "A": "steps too short",
    "B": "weights too small",
    "C": "labels mixed up",
    "D": "steps too long",
    "E": "weights too large",
}


def findings(**changed):
    """The answer to mnist-4 with some of its findings changed."""
    return f"findings = {FINDINGS | changed}"


def slopes(v="to_y * a{0}.item()", w="to_y * v{0}.item() * (1 - a{0}.item() ** 2) * x", to_y="2 * (y.item() - target)"):
    """The answer to initial-1, all right but what is given."""
    lines = [f"v{i}.grad = {v.format(i)}\nw{i}.grad = {w.format(i)}" for i in (1, 2)]
    return "\n".join([f"to_y = {to_y}", *lines])


def convolution(value=f"({PATCH} * kernel).sum()", down="h - k + 1", across="w - k + 1"):
    """The answer to convolution-1, all right but what is given."""
    return f"""\
def convolve(image, kernel):
    (h, w), k = image.shape, len(kernel)
    result = np.zeros(({down}, {across}))
    for row in range({down}):
        for column in range({across}):
            result[row, column] = {value}
    return result
"""


BIAS = "Hint: 784 weights lead to each of the 10 units, and each unit has a bias"
CHAIN = "Hint: the outputs of one layer are the inputs of the next"
MINUS_LN = "Hint: the right digit gets 1/10, like all others; the loss is −ln of that"
IN_TURN = "0.6931 is not right. Hint: cross_entropy takes the scores; then come zero_grad(), backward() and step()"
BACK = "Hint: back from y: through v · a to a, through the slope of tanh, and w · x hands w the factor x"
OVER_BATCH = "Hint: mean and variance run over the batch, axis 0; divide by the root"
SUM_OF_PRODUCTS = "Hint: a kernel of k has h − k + 1 places down and w − k + 1 across; each gives one number"
NOT_TURNED = "Hint: each pixel times the weight that lies on it: image[rows, columns], and a kernel that is not turned"
PATHS = "Hint: y0, y1 and y2 each hand w0 a product, y times the x beside w0: paths add up"
LARGEST = "Hint: the largest over the axes 1 and 3 of the image as (h // 2, 2, w // 2, 2)"

WRONG = [
    ("mnist-1", f"{COUNT}a * b for a, b in zip(sizes, sizes[1:]))", "it is 7840 instead of 7850"),
    ("mnist-1", f"{COUNT}a * b + a for a, b in zip(sizes, sizes[1:]))", f"it is 8624 instead of 7850. {BIAS}"),
    ("mnist-1", f"{COUNT}sizes[i] * sizes[i + 1] for i in range(len(sizes)))", f"list index out of range. {BIAS}"),
    ("mnist-1", f"{COUNT}sizes[0] * n + n for n in sizes[1:])", f"it is 158570 instead of 109386. {CHAIN}"),
    ("mnist-2", "loss_of_a_guess = np.log(1 / 10)", f"−2.303: wrong sign. {MINUS_LN}"),
    ("mnist-2", "loss_of_a_guess = 1 / 10", f"0.1 is not right. {MINUS_LN}"),
    ("mnist-2", "loss_of_a_guess = -np.log10(1 / 10)", "1 is not right. Hint: the right digit gets 1/10"),
    ("mnist-2", "loss_of_a_guess = ...", "...: still to be filled in"),
    ("mnist-3", f"{TRAIN}loss.backward()\n    optimizer.step(){ITEM}", "unless zero_grad() empties"),
    ("mnist-3", f"{TRAIN}loss.backward()\n    optimizer.zero_grad()\n    optimizer.step(){ITEM}", IN_TURN),
    ("mnist-3", f"{TRAIN}{ZERO}loss.backward(){ITEM}", IN_TURN),
    (
        "mnist-3",
        f"{TRAIN}{ZERO}loss.backward()\n    optimizer.step()\n    return loss",
        "its type = 'Tensor' is not right. Hint: loss is a Tensor, loss.item() the number in it",
    ),
    (
        "mnist-3",
        f"{TRAIN}{ZERO}loss.backward()\n    optimizer.step()",
        "Hint: return the loss before the step, as a number: loss.item()",
    ),
    (
        "mnist-4",
        findings(D="weights too large", E="steps too long"),
        "patient D = 'weights too large' is not right. Hint: it begins as the healthy one, and the first steps",
    ),
    (
        "mnist-4",
        findings(B="labels mixed up", C="weights too small"),
        "patient B = 'labels mixed up' is not right. Hint: it begins at 2.3 exactly",
    ),
    ("mnist-4", findings(A="too short"), "patient A = 'too short' is not right. Hint: the names are labels mixed up,"),
    ("initial-1", slopes(w="to_y * v{0}.item() * (1 - a{0}.item() ** 2)"), f"w2 (half the right one). {BACK}"),
    ("initial-1", slopes(w="to_y * v{0}.item() * x"), f"2 of 7 gradients not right: w1 (wrong), w2 (wrong). {BACK}"),
    ("initial-1", slopes(w="to_y * v{0}.item() * (1 - a{0}.item()) * x"), f"w1 (wrong), w2 (wrong). {BACK}"),
    ("initial-1", slopes(v="a{0}.item()"), f"2 of 7 gradients not right: v1 (wrong), v2 (wrong). {BACK}"),
    ("initial-1", slopes(to_y="2 * (target - y.item())"), "w1 (wrong sign), w2 (wrong sign), v1 (wrong sign)"),
    ("initial-2", f"{KAIMING}return 2 / n_in", "0.04 is not right. Hint: 2/n is the variance"),
    ("initial-2", f"{KAIMING}return np.sqrt(n_in / 2)", "its square root, and falls with n"),
    ("initial-2", f"{KAIMING}return np.sqrt(1 / n_in)", "0.7071 is not right. Hint: the 2 makes up for"),
    ("initial-2", f"{KAIMING}return np.sqrt(2) / n_in", "the root is taken of all of 2/n"),
    ("initial-3", f"{LEFT_OVER}return (weight / 2) ** layers", "0.5: twice the right one. Hint: one sigmoid at z"),
    ("initial-3", f"{LEFT_OVER}return weight / 4 * layers", "0.75 is not right. Hint: slopes of layers in a row"),
    ("initial-3", f"{LEFT_OVER}return 0.25**layers", "1/4 of the right one. Hint: each layer multiplies by"),
    ("initial-3", f"{LEFT_OVER}return weight / 4**layers", "half the right one. Hint: each layer multiplies by"),
    ("initial-4", f"{BATCH_NORM}return (x - x.mean(1)) / np.sqrt(x.var(1) + eps)", "it raises ValueError: operands"),
    ("initial-4", f"{BATCH_NORM}return (x.mean(0) - x) / np.sqrt(x.var(0) + eps)", f"wrong sign. {OVER_BATCH}"),
    ("initial-4", f"{BATCH_NORM}return (x - x.mean(0)) / (x.var(0) + eps)", f"instead of −1.225. {OVER_BATCH}"),
    ("initial-4", f"{BATCH_NORM}return (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + eps)", "0.816 times the right one"),
    ("initial-4", f"{BATCH_NORM}return (x - x.mean(0)) / x.std(0)", "Hint: a unit that never changes has variance 0"),
    ("initial-4", f"{BATCH_NORM}return (x - x.mean(0)) / (x.std(0) + eps)", "Hint: the eps that is given belongs"),
    ("convolution-1", convolution(down="h - k", across="w - k"), f"shape [1×1] instead of [2×2]. {SUM_OF_PRODUCTS}"),
    ("convolution-1", convolution(f"{PATCH} * kernel"), SUM_OF_PRODUCTS),
    ("convolution-1", convolution(f"({PATCH} * kernel).mean()"), f"1/4 of the right one. {SUM_OF_PRODUCTS}"),
    ("convolution-1", convolution(f"({PATCH} * kernel[::-1, ::-1]).sum()"), f"10 instead of 2. {NOT_TURNED}"),
    (
        "convolution-1",
        convolution("(image[column : column + k, row : row + k] * kernel).sum()"),
        f"[[2, 11], [5, 14]] instead of [[2, 5], [11, 14]]: transposed. {NOT_TURNED}",
    ),
    ("convolution-1", convolution(down="w - k + 1", across="h - k + 1"), "Hint: h counts the rows, w the columns"),
    ("convolution-2", f"{PLACES}return (size + 2 * padding - k) // stride", "23 is not right. Hint: the first place"),
    ("convolution-2", f"{PLACES}return (size + padding - k) // stride + 1", "27 is not right. Hint: padding adds"),
    ("convolution-2", f"{PLACES}return (size + 2 * padding - k + 1) // stride", "11 is not right. Hint: a step is"),
    ("convolution-2", f"{PLACES}return (size + 2 * padding - k) / stride + 1", "3.5 is not right. Hint: a step"),
    ("convolution-2", f"{PLACES}return (size - k) // stride + 1 + 2 * padding", "Hint: the kernel steps over"),
    ("convolution-3", "w0.grad, w1.grad = -1.0 * 1.0, -1.0 * 2.0", f"w1 (only 1 of 3 paths). {PATHS}"),
    ("convolution-3", "w0.grad, w1.grad = -9.0, 17.0", f"w0 (wrong sign), w1 (wrong sign). {PATHS}"),
    ("convolution-3", "w0.grad, w1.grad = 9.0 / 3, -17.0 / 3", f"w1 (1/3 of the right one). {PATHS}"),
    ("convolution-3", "w0.grad, w1.grad = 1.0 + 2.0 - 1.0, 2.0 - 1.0 + 3.0", f"w0 (wrong), w1 (wrong). {PATHS}"),
    ("convolution-3", "w0.grad = 9.0", f"w1 (not set). {PATHS}"),
    ("convolution-4", f"{POOL}return {BLOCKS}.mean(axis=(1, 3))", f"4 instead of 8. {LARGEST}"),
    ("convolution-4", f"{POOL}return {BLOCKS}.max(axis=(0, 2))", f"shape [2×2] instead of [1×3]. {LARGEST}"),
    ("convolution-4", f"{POOL}return image.reshape(h // 2, w // 2, 2, 2).max(axis=(2, 3))", LARGEST),
    ("convolution-4", f"{POOL}{BLOCKS}.max(axis=(1, 3))", LARGEST),
    ("convolution-4", f"{POOL}return {BLOCKS}.data.max(axis=(1, 3))", "requires_grad = False is not right. Hint: stay"),
]
