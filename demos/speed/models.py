"""One training step of networks with convolutions, and of the GPT of demos/gpt.py.

The convolutional networks read 64 images (1, 28, 28): the first has two layers of 3 x 3 kernels with 16 and 32
channels, relu and pooling after each, the second is that of demos/cnn.py. The GPT reads 16 texts of 64 letters; it has
four blocks of width 64 with four heads. PyTorch's are eager, with the modules its users would take, and the mask given;
JAX's are compiled as a whole. All begin with our weights; the optimizer is Adam, for the GPT AdamW.
"""

from itertools import cycle

import cnn
import gpt
import numpy as np

from speed import peers
from speed.timing import JAX, OURS, TORCH, import_torch, installed, interleaved, rows
from tinygrad_edu import functional as F, manual_seed, nn, optim

BATCH, PLACES, WIDTH, HEADS, LAYERS = 64, 64, 64, 4, 4
LETTERS, LR, DECAY = len(gpt.LETTERS), 1e-6, 0.1
SMALL_CNN, LESSON_CNN, GPT = "CNN of two 3x3 layers", "network of demos/cnn.py", "GPT of demos/gpt.py"


def cases(quick, threads=1):
    """Names of networks."""
    return [SMALL_CNN, LESSON_CNN, GPT] if threads == 1 else []


def measure(case, threads, quick):
    """Rows of one network, all contenders."""
    count = 2 if quick else 4
    steps = {}
    for name, peer in contenders(case, threads).items():
        prepared = cycle([peer.prepare(x, y) for x, y in batches(case, count)])
        steps[name] = lambda step=peer.step, prepared=prepared: step(*next(prepared))
    return rows(case, interleaved(steps, 3 if quick else 15, 2 if quick else 10, threads, warmup=2))


def batches(case, count):
    """Images (64, 1, 28, 28) and labels; or letters (16, 64) and the next ones."""
    rng = np.random.default_rng(0)
    if case == GPT:
        return [tuple(rng.integers(0, LETTERS, (2, 16, PLACES))) for _ in range(count)]
    shape = (BATCH, 1, 28, 28)
    return [(rng.standard_normal(shape, np.float32), rng.integers(0, 10, BATCH)) for _ in range(count)]


def contenders(case, threads):
    """The peers that are installed, by name, each with a network of its own."""
    manual_seed(0)
    model = ours(case)
    state = {name: values.astype(np.float32) for name, values in model.state_dict().items()}
    found = {OURS: peers.Training(model, F.cross_entropy, optimizer(optim, case, model))}
    if torch := import_torch(threads):
        twin = torch_gpt(torch) if case == GPT else torch_cnn(torch, case)
        twin.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
        found[TORCH] = peers.TorchTraining(twin, torch_loss(torch), optimizer(torch.optim, case, twin))
    if installed("jax"):
        found[JAX] = JaxTraining(case, state)
    return found


def ours(case):
    """The network."""
    if case == GPT:
        return gpt.GPT(LETTERS, PLACES, WIDTH, HEADS, LAYERS)
    return cnn.build() if case == LESSON_CNN else small_cnn(nn)


def small_cnn(nn):
    """Of our modules, or of PyTorch's."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (64, 16, 14, 14)
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (64, 32, 7, 7)
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )


def optimizer(library, case, model):
    """Adam or AdamW, ours or PyTorch's."""
    if case == GPT:
        return library.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    return library.Adam(model.parameters(), lr=LR)


def torch_loss(torch):
    """Its classes are the second axis; so the places of a text are counted with the texts."""
    return lambda logits, y: torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def torch_cnn(torch, case):
    """PyTorch's twin of a convolutional network."""
    nn = torch.nn
    if case == SMALL_CNN:
        return small_cnn(nn)
    first = [nn.Conv2d(1, 16, 5), nn.MaxPool2d(2), nn.ReLU()]
    return nn.Sequential(*first, nn.Conv2d(16, 32, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))


def torch_gpt(torch):
    """PyTorch's twin of the GPT."""
    nn = torch.nn
    mask = nn.Transformer.generate_square_subsequent_mask(PLACES)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))

        def forward(self, x):
            y = self.norm1(x)
            y, _ = self.attention(y, y, y, attn_mask=mask, is_causal=True, need_weights=False)
            x = x + y
            return x + self.mlp(self.norm2(x))

    class Twin(nn.Module):
        def __init__(self):
            super().__init__()
            self.letter, self.place = nn.Embedding(LETTERS, WIDTH), nn.Embedding(PLACES, WIDTH)
            self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, LETTERS)

        def forward(self, letters):
            x = self.letter(letters) + self.place(torch.arange(letters.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    return Twin()


class JaxTraining(peers.Jax):
    """JAX's twin of a network, whose weights are a dict like a state_dict."""

    def __init__(self, case, state):
        network = jax_gpt if case == GPT else jax_small_cnn if case == SMALL_CNN else jax_lesson_cnn

        def loss(weights, x, y):
            return peers.jax_cross_entropy(network(weights, x), y)

        self.start(loss, state, "Adam", LR, DECAY if case == GPT else 0.0)

    def prepare(self, x, y):
        return super().prepare(x.astype(np.int32) if x.dtype == np.int64 else x, y)


def jax_linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def jax_convolution(weights, name, x, padding):
    from jax import lax

    out = lax.conv_general_dilated(x, weights[f"{name}.weight"], (1, 1), padding)
    return out + weights[f"{name}.bias"][:, None, None]


def jax_pooled(x):
    from jax import lax

    return lax.reduce_window(x, -np.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def jax_small_cnn(weights, x):
    from jax.nn import relu

    for name in ("0", "3"):
        x = jax_pooled(relu(jax_convolution(weights, name, x, "SAME")))
    return jax_linear(weights, "7", x.reshape(len(x), -1))


def jax_lesson_cnn(weights, x):
    from jax.nn import relu

    for name in ("0", "3"):
        x = relu(jax_pooled(jax_convolution(weights, name, x, "VALID")))
    return jax_linear(weights, "7", x.reshape(len(x), -1))


def jax_norm(weights, name, x):
    from jax.numpy import sqrt

    x = x - x.mean(-1, keepdims=True)
    x = x / sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def jax_attention(weights, name, x):
    import jax

    y = x @ weights[f"{name}.in_proj_weight"].T + weights[f"{name}.in_proj_bias"]
    q, k, v = y.reshape(*x.shape[:2], 3, HEADS, WIDTH // HEADS).transpose(2, 0, 1, 3, 4)
    y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
    return jax_linear(weights, f"{name}.out_proj", y)


def jax_gpt(weights, letters):
    from jax.nn import relu

    x = weights["letter.weight"][letters] + weights["place.weight"]
    for block in [f"blocks.{i}" for i in range(LAYERS)]:
        x = x + jax_attention(weights, f"{block}.attention", jax_norm(weights, f"{block}.norm1", x))
        y = relu(jax_linear(weights, f"{block}.mlp.0", jax_norm(weights, f"{block}.norm2", x)))
        x = x + jax_linear(weights, f"{block}.mlp.2", y)
    return jax_linear(weights, "head", jax_norm(weights, "norm", x))
