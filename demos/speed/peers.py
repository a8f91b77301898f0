"""Seven programs for one training step: layers with relu, cross-entropy, backpropagation, and an optimizer.

`Ours`, `PyTorch` and `Jax` say what to compute, and find the derivatives themselves; JAX compiles all of the step into
one program for these shapes, which it then runs again and again. `ByHand` is backpropagation as it is
written with NumPy and a textbook. `BestEffort` is what remains of that when nothing counts but time: it allocates
nothing, and NumPy can hardly be faster. `Products` are the matrix products alone, which all of them need.

All begin from the same weights and compute the same, to the accuracy of float32; a test sees to that. Weights are lists
of (W, b) of shapes (in, out) and (out,), as in x @ W + b. A step takes images (n, in) and labels (n,), and returns the
mean loss before the update.
"""

import math
from functools import partial
from itertools import pairwise

import numpy as np
from replay import Replay

from tinygrad_edu import nn, optim
from tinygrad_edu.functional import cross_entropy

MOMENTUM, BETA1, BETA2, EPS = 0.9, 0.9, 0.999, 1e-8
FLUSH_EVERY, FLUSH_BY = 64, 1e-23  # tinygrad_edu/optim/optimizers.py says why


def initial_weights(sizes, seed=0):
    """Weights for the layers between these sizes, by Kaiming's rule, and biases of 0; float32."""
    rng = np.random.default_rng(seed)
    draw = [rng.normal(0, math.sqrt(2 / n), (n, m)) for n, m in pairwise(sizes)]
    return [(W.astype(np.float32), np.zeros(W.shape[1], np.float32)) for W in draw]


def random_batches(features, classes, batch, count, seed=0):
    """Normally distributed float32 images (batch, features) and labels (batch,)."""
    rng = np.random.default_rng(seed)
    images = [rng.standard_normal((batch, features), np.float32) for _ in range(count)]
    return [(x, rng.integers(0, classes, batch)) for x in images]


class Peer:
    """What peers have in common."""

    def prepare(self, x, y):
        """A batch as the step takes it; this is not part of the step."""
        return x, y

    def weights(self):
        """The weights as arrays (W, b)."""
        return self.layers


class Training(Peer):
    """A model, a loss and an optimizer, of this library or of PyTorch: the lines are the same."""

    def __init__(self, model, loss, optimizer):
        self.model, self.loss, self.optimizer = model, loss, optimizer

    def step(self, x, y):
        loss = self.loss(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


class TorchTraining(Training):
    """The same of PyTorch's tensors."""

    def prepare(self, x, y):
        import torch

        return torch.from_numpy(x), torch.from_numpy(y)


class Ours(Training):
    """tinygrad_edu."""

    def __init__(self, weights, optimizer, lr):
        model = nn.MLP([len(weights[0][0]), *[len(b) for _, b in weights]])
        self.linear = [layer for layer in model if isinstance(layer, nn.Linear)]
        for layer, (W, b) in zip(self.linear, weights, strict=True):
            layer.weight.assign(W.T)
            layer.bias.assign(b)
        if optimizer == "Adam":
            made = optim.Adam(model.parameters(), lr, (BETA1, BETA2), EPS)
        else:
            made = optim.SGD(model.parameters(), lr, MOMENTUM if optimizer == "momentum" else 0.0)
        super().__init__(model, cross_entropy, made)

    def weights(self):
        return [(layer.weight.data.T, layer.bias.data) for layer in self.linear]


class Replayed(Ours):
    """The same step, recorded once and replayed as in demos/replay.py."""

    def __init__(self, weights, optimizer, lr):
        super().__init__(weights, optimizer, lr)
        self.step = Replay(lambda x, y: cross_entropy(self.model(x), y), self.model, self.optimizer)


class PyTorch(TorchTraining):
    """PyTorch as its tutorials use it; `fused` is its Adam in one kernel, an option."""

    def __init__(self, weights, optimizer, lr, fused=False):
        import torch

        layers = []
        for W, b in weights:
            linear = torch.nn.Linear(*W.shape)
            linear.load_state_dict({"weight": torch.tensor(W.T), "bias": torch.tensor(b)})
            layers += [linear, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        if optimizer == "Adam":
            made = torch.optim.Adam(model.parameters(), lr, (BETA1, BETA2), EPS, fused=fused or None)
        else:
            made = torch.optim.SGD(model.parameters(), lr, MOMENTUM if optimizer == "momentum" else 0.0)
        super().__init__(model, torch.nn.functional.cross_entropy, made)

    def weights(self):
        linear = self.model[::2]
        return [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in linear]


class Jax(Peer):
    """JAX as its tutorials use it: the step is a function of all that it changes, whose memory it may take."""

    def __init__(self, weights, optimizer, lr):
        self.start(mlp_loss, [(W.copy(), b.copy()) for W, b in weights], optimizer, lr)

    def start(self, loss, weights, optimizer, lr, weight_decay=0.0):
        """Begins to train: `loss` is a function of the weights, which are arrays in lists and dicts, and a batch."""
        import jax

        self.jax = jax
        self.state = jax.device_put((weights, *[jax.tree.map(np.zeros_like, weights) for _ in range(2)], 0.0))
        update = partial({"SGD": jax_sgd, "momentum": jax_momentum, "Adam": jax_adam}[optimizer], lr=lr)

        def step(state, x, y):
            weights, m, v, t = state
            value, gradients = jax.value_and_grad(loss)(weights, x, y)
            weights = jax.tree.map(lambda p: p * (1 - lr * weight_decay), weights) if weight_decay else weights
            leaves, tree = jax.tree.flatten(weights)
            updated = [update(*p, t + 1) for p in zip(leaves, *map(jax.tree.leaves, (gradients, m, v)), strict=True)]
            return (*[jax.tree.unflatten(tree, part) for part in zip(*updated, strict=True)], t + 1), value

        self.compiled = jax.jit(step, donate_argnums=0)

    def prepare(self, x, y):
        return self.jax.device_put((x, y.astype(np.int32)))

    def step(self, x, y):
        self.state, loss = self.compiled(self.state, x, y)
        return loss.item()

    def weights(self):
        return self.jax.device_get(self.state[0])


def mlp_loss(layers, x, y):
    """The mean cross-entropy, for JAX."""
    import jax

    for W, b in layers[:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = layers[-1]
    return jax_cross_entropy(x @ W + b, y)


def jax_cross_entropy(logits, y):
    """The mean of -log softmax(logits) at the labels, which stand for the last axis."""
    import jax.numpy as jnp
    from jax.nn import log_softmax

    return -jnp.take_along_axis(log_softmax(logits), y[..., None], -1).mean()


def jax_sgd(p, grad, m, v, t, lr):
    return p - lr * grad, m, v


def jax_momentum(p, grad, m, v, t, lr):
    m = MOMENTUM * m + grad
    return p - lr * m, m, v


def jax_adam(p, grad, m, v, t, lr):
    import jax.numpy as jnp

    m, v = BETA1 * m + (1 - BETA1) * grad, BETA2 * v + (1 - BETA2) * grad * grad
    return p - lr * (m / (1 - BETA1**t)) / (jnp.sqrt(v / (1 - BETA2**t)) + EPS), m, v


class ByHand(Peer):
    """Backpropagation in NumPy as a good student writes it."""

    def __init__(self, weights, optimizer, lr):
        self.layers = [(W.copy(), b.copy()) for W, b in weights]
        self.parameters = [p for layer in self.layers for p in layer]
        self.m = [np.zeros_like(p) for p in self.parameters]
        self.v = [np.zeros_like(p) for p in self.parameters]
        self.lr, self.t = lr, 0
        self.update = {"SGD": self.sgd, "momentum": self.momentum, "Adam": self.adam}[optimizer]

    def step(self, x, y):
        n, rows = len(y), np.arange(len(y))
        activations = [x]
        for W, b in self.layers[:-1]:
            activations.append(np.maximum(activations[-1] @ W + b, 0))
        W, b = self.layers[-1]
        z = activations[-1] @ W + b  # (n, classes)
        z -= z.max(axis=1, keepdims=True)
        exp = np.exp(z)
        total = exp.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[rows, y]).mean()

        g = exp / total  # the gradient of the logits: softmax, less 1 at the label
        g[rows, y] -= 1
        g /= n
        gradients = []
        for i in reversed(range(len(self.layers))):
            gradients = [activations[i].T @ g, g.sum(axis=0), *gradients]
            if i > 0:
                g = g @ self.layers[i][0].T * (activations[i] > 0)

        self.t += 1
        for p, grad, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            self.update(p, grad, m, v)
        return float(loss)

    def sgd(self, p, grad, m, v):
        p -= self.lr * grad

    def momentum(self, p, grad, m, v):
        m *= MOMENTUM
        m += grad
        p -= self.lr * m

    def adam(self, p, grad, m, v):
        m += (1 - BETA1) * (grad - m)
        v += (1 - BETA2) * (grad * grad - v)
        p -= self.lr * (m / (1 - BETA1**self.t)) / (np.sqrt(v / (1 - BETA2**self.t)) + EPS)


class BestEffort(ByHand):
    """The same, with every array made once and every pass over memory that can be saved.

    The last layer is worked as (classes, n): NumPy adds up along the first axis several times faster than along a short
    last one, and the product can as well be written out transposed.
    """

    def __init__(self, weights, optimizer, lr):
        super().__init__(weights, optimizer, lr)
        self.gradients = [(np.empty_like(W), np.empty_like(b)) for W, b in self.layers]
        memory = np.empty(max(p.size for p in self.parameters), np.float32)
        self.scratch = [memory[: p.size].reshape(p.shape) for p in self.parameters]
        self.batch = 0

    def allocate(self, n):
        shapes = [(n, len(b)) for _, b in self.layers[:-1]]
        self.hidden = [np.empty(shape, np.float32) for shape in shapes]
        self.slopes = [np.empty(shape, np.float32) for shape in shapes]
        self.masks = [np.empty(shape, bool) for shape in shapes]
        self.z, self.p = np.empty((2, len(self.layers[-1][1]), n), np.float32)
        self.largest, self.total = np.empty((2, n), np.float32)
        self.batch, self.rows = n, np.arange(n)

    def step(self, x, y):
        n = len(y)
        if n != self.batch:
            self.allocate(n)
        activations = [x, *self.hidden]
        for (W, b), a, out in zip(self.layers[:-1], activations, self.hidden, strict=False):
            np.matmul(a, W, out=out)
            np.add(out, b, out=out)
            np.maximum(out, 0, out=out)
        (W, b), z, p, total = self.layers[-1], self.z, self.p, self.total
        np.matmul(W.T, activations[-1].T, out=z)  # (classes, n)
        z += b[:, None]
        z -= z.max(axis=0, out=self.largest)
        np.exp(z, out=p)
        p.sum(axis=0, out=total)
        loss = (float(np.log(total).sum()) - float(z[y, self.rows].sum())) / n

        total *= n
        p /= total
        p[y, self.rows] -= 1 / n
        g = p.T
        for i in reversed(range(len(self.layers))):
            to_W, to_b = self.gradients[i]
            np.matmul(activations[i].T, g, out=to_W)
            g.sum(axis=0, out=to_b)
            if i > 0:
                slope, mask = self.slopes[i - 1], self.masks[i - 1]
                np.matmul(g, self.layers[i][0].T, out=slope)
                np.greater(activations[i], 0, out=mask)
                g = np.multiply(slope, mask, out=slope)

        self.t += 1
        gradients = [grad for pair in self.gradients for grad in pair]
        for p, grad, m, v, work in zip(self.parameters, gradients, self.m, self.v, self.scratch, strict=True):
            self.work = work
            self.update(p, grad, m, v)
        return loss

    def sgd(self, p, grad, m, v):
        p -= np.multiply(grad, self.lr, out=self.work)

    def momentum(self, p, grad, m, v):
        m *= MOMENTUM
        m += grad
        self.flush(m)
        p -= np.multiply(m, self.lr, out=self.work)

    def adam(self, p, grad, m, v):
        """m and v are plain decayed sums; (1 - beta) and both corrections are in two numbers."""
        work, t = self.work, self.t
        m *= BETA1
        m += grad
        v *= BETA2
        v += np.multiply(grad, grad, out=work)
        self.flush(m)
        self.flush(v)
        scale = math.sqrt((1 - BETA2) / (1 - BETA2**t))
        np.sqrt(v, out=work)
        work += EPS / scale
        np.divide(m, work, out=work)
        work *= self.lr * (1 - BETA1) / (1 - BETA1**t) / scale
        p -= work

    def flush(self, moment):
        if self.t % FLUSH_EVERY == 0:
            moment += FLUSH_BY
            moment -= FLUSH_BY


class Products(Peer):
    """The matrix products of a step and nothing else: what is left when everything around them is free.

    Three a layer, forward, to the weights and to the input; none leads to the images, which are not trained.
    """

    def __init__(self, weights, optimizer, lr):
        self.layers = weights
        self.to_weights = [np.empty_like(W) for W, _ in weights]
        self.batch = 0

    def allocate(self, n):
        rng = np.random.default_rng(0)
        self.outputs = [rng.standard_normal((n, len(b)), np.float32) for _, b in self.layers]
        self.slopes = [rng.standard_normal((n, len(b)), np.float32) for _, b in self.layers]
        self.batch = n

    def step(self, x, y):
        if len(y) != self.batch:
            self.allocate(len(y))
        inputs = [x, *self.outputs]
        for (W, _), a, out in zip(self.layers, inputs, self.outputs, strict=False):
            np.matmul(a, W, out=out)
        for i in reversed(range(len(self.layers))):
            np.matmul(inputs[i].T, self.slopes[i], out=self.to_weights[i])
            if i > 0:
                np.matmul(self.slopes[i], self.layers[i][0].T, out=self.slopes[i - 1])
