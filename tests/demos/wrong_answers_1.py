"""Typical wrong answers to the exercises of notebook 1, and what is said of them."""

WRONG = [
    ("by-hand-1", "df_dx, df_dy, df_dz = 2.0, -2.0, 3.0", "gradient['x'] = 2: wrong sign. Hint: the product hands"),
    ("by-hand-1", "df_dx, df_dy, df_dz = 3.0, 3.0, -2.0", "gradient: 3 of 3 values are wrong. Hint: the product hands"),
    (
        "by-hand-2",
        "def gradients_of_g(x, y, z):\n    s = x * y + z\n    return s * y, s * x, s",
        "half the right one. Hint: ∂g/∂s = 2s goes to z",
    ),
    (
        "by-hand-2",
        "def gradients_of_g(x, y, z):\n    s = 2 * (x * y + z)\n    return s * x, s * y, s",
        "two values swapped. Hint: ∂g/∂s = 2s goes to z",
    ),
    (
        "by-hand-2",
        "def gradients_of_g(x, y, z):\n    s = 2 * (x * y + z)",
        "None: no value; is a return missing",
    ),
    ("by-hand-3", "s.grad, x.grad, y.grad = 3.0, 3.0, 3.0", "x (only 1 of 2 paths). Hint: x has two ways to f"),
    ("by-hand-3", "s.grad, x.grad, y.grad = 3.0, 1.0, 3.0", "x (only 1 of 2 paths). Hint: x has two ways to f"),
    ("by-hand-3", "s.grad, x.grad, y.grad = 1.0, 2.0, 1.0", "y (right step, but s has a wrong gradient)"),
    (
        "by-hand-4",
        "def slope(f, x, h=1e-5):\n    return (f(x + h) - f(x)) / h",
        "4.75 is not right. Hint: h to both sides: from f(0.5) to f(1.5)",
    ),
    (
        "by-hand-4",
        "def slope(f, x, h=1e-5):\n    return (f(x + h) - f(x - h)) / h",
        "12: twice the right one. Hint: from x − h to x + h",
    ),
    (
        "by-hand-4",
        "def slope(f, x, h=1e-5):\n    return (f(x - h) - f(x + h)) / (2 * h)",
        "−6: wrong sign. Hint: from x − h to x + h",
    ),
]
