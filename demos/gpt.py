"""A small GPT learns to write, letter after letter, from the help texts that come with Python.

At each place of a text the network guesses the next letter, and the loss is the surprise at the one that comes: 4.6 at
first, as of 100 letters without a preference. Attention looks back from a place to all places before it, and a mask
keeps it from seeing the answer. Four blocks of attention and a small MLP, each added to what was there, are a GPT
(Radford et al. 2018; a norm stands before each part, as in Xiong et al. 2020): the large ones differ in size and text.
Run it with `python demos/gpt.py`, which takes some minutes; `--text FILE` learns from another text.
"""

from pathlib import Path
from pydoc_data.topics import topics

import lesson
import numpy as np

from tinygrad_edu import functional as F, manual_seed, nn, no_grad, optim, plots

LETTERS = "".join([chr(i) for i in range(32, 127)]) + "\n"


class Block(nn.Module):
    """Attention, then an MLP at each place, each of them adding to x: (n, places, width) -> the same."""

    def __init__(self, width, heads):
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x, maps=None):
        y = self.norm1(x)
        y, weights = self.attention(y, y, y, is_causal=True, average_attn_weights=False, need_weights=maps is not None)
        if maps is not None:
            maps.append(weights.data)
        x = x + y
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Letters as numbers, (n, places), to logits of the next one at each place, (n, places, letters)."""

    def __init__(self, letters, context, width, heads, layers):
        self.context = context
        self.letter, self.place = nn.Embedding(letters, width), nn.Embedding(context, width)
        for table in (self.letter, self.place):
            nn.init.normal(table.weight, std=0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, letters, maps=None):
        x = self.letter(letters) + self.place(np.arange(letters.shape[1]))
        for block in self.blocks:
            x = block(x, maps)
        return self.head(self.norm(x))


def encode(text):
    """A text as numbers of letters; what is not among them is left out."""
    return np.array([LETTERS.index(c) for c in text if c in LETTERS], np.int64)


def batch(data, size, context, rng):
    """Pieces of the text, and the same one letter further on: both (size, context)."""
    starts = rng.integers(len(data) - context, size=size)[:, None] + np.arange(context)
    return data[starts], data[starts + 1]


@no_grad()
def write(model, length, rng, prompt="The ", temperature=0.8):
    """What the model writes after the prompt; a lower temperature takes the likeliest letters more often."""
    letters = list(encode(prompt))
    for _ in range(length):
        logits = model(np.array([letters[-model.context :]])).data[0, -1]
        p = F.softmax(logits / temperature).astype(np.float64)
        letters.append(rng.choice(len(p), p=p / p.sum()))
    return "".join([LETTERS[i] for i in letters])


@no_grad()
def surprise(model, data, rng, batches=20):
    """The mean loss on pieces of a text."""
    pieces = [batch(data, 16, model.context, rng) for _ in range(batches)]
    return float(np.mean([F.cross_entropy(model(x), y).item() for x, y in pieces]))


def draw(model, losses, unseen, out):
    """Two pictures: the losses, those of training as means of neighbours, and where each letter looks."""
    near = max(1, len(losses) // 64)
    smooth = np.convolve(losses, np.ones(near) / near, "valid")
    lines = {"training": (np.arange(len(smooth)) + near - 1, smooth), "the rest of the text": unseen}
    titles = {"xlabel": "step", "ylabel": "loss", "title": "A small GPT learns to write"}
    lesson.save(plots.curves({"surprise at a letter": lines}, **titles), out / "gpt_loss.png")
    sentence = "the value of the expression is the value of the name"[: model.context]
    with no_grad():
        model(encode(sentence)[None], maps := [])
    heads = {f"block {i + 1}, head {j + 1}": m for i, layer in enumerate(maps) for j, m in enumerate(layer[0])}
    chosen = list(heads)[:: max(1, len(heads) // 8)][:8]
    title = f"Where each letter looks in {sentence!r}: row looks at column"
    figure = plots.images([heads[name] for name in chosen], chosen, title=title, columns=4)
    lesson.save(figure, out / "gpt_attention.png")


def main(argv=None):
    parser, size = lesson.parser(__doc__), lesson.integer(1, most=10**6)
    parser.add_argument("--text", type=Path, help="file to learn from, instead of Python's help texts")
    parser.add_argument("--steps", type=size, default=4000)
    parser.add_argument("--batch", type=size, default=16, help="pieces of text in a step")
    parser.add_argument("--context", type=lesson.integer(2, most=1000), default=64, help="letters to look back at")
    parser.add_argument("--width", type=size, default=64, help="numbers for each place")
    parser.add_argument("--heads", type=size, default=4, help="attentions side by side")
    parser.add_argument("--layers", type=lesson.integer(1, most=100), default=4)
    parser.add_argument("--lr", type=lesson.above(0), default=2e-3, help="largest learning rate")
    args = parser.parse_args(argv)
    manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    data = encode(args.text.read_text(encoding="utf-8") if args.text else "\n".join(topics.values()))
    if len(data) < 20 * args.context:
        raise ValueError(f"a text of {len(data)} letters is too short for a context of {args.context}")
    training, test = np.split(data, [int(0.9 * len(data))])
    model = GPT(len(LETTERS), args.context, args.width, args.heads, args.layers)
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.1)
    warm_up = max(1, args.steps // 20)
    falling = optim.CosineAnnealingLR(optimizer, max(1, args.steps - warm_up))
    schedule = optim.LinearWarmup(optimizer, warm_up, then=falling)
    print(f"{len(data):,} letters; {sum(p.size for p in model.parameters()):,} parameters; {args.steps} steps")
    print(f"without a preference: {np.log(len(LETTERS)):.3f} a letter")
    print(f"\nbefore training:\n{write(model, 200, rng)}\n")

    every, losses, unseen = max(1, args.steps // 8), [], ([], [])
    for step in range(1, args.steps + 1):
        x, y = batch(training, args.batch, args.context, rng)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % every == 0 or step == args.steps:
            unseen[0].append(step), unseen[1].append(surprise(model, test, rng))
            means = f"loss {np.mean(losses[-every:]):.3f}  on the rest of the text {unseen[1][-1]:.3f}"
            print(f"step {step:6}  {means}", flush=True)
        if step == every:
            print(f"\n{write(model, 200, rng)}\n")
    print(f"\nafter training:\n{write(model, 600, rng)}\n")
    draw(model, losses, unseen, args.out)


if __name__ == "__main__":
    lesson.run(main)
