"""Trains a small convolutional network to read handwritten digits, after LeNet (LeCun et al. 1998).

A kernel of 5 x 5 weights slides over the image: what it learns in one corner it finds everywhere, so that 18,000
weights do better than the 235,000 of the fully connected network in demos/mnist.py.
Pooling keeps the strongest answer among 2 x 2 pixels: a stroke may move a little without changing the result.
The loop is that of demos/mnist.py, as the function `fit`.
Run it with `python demos/cnn.py`; without MNIST's files and network it trains on synthetic digits and says so.
"""

import time
from pathlib import Path

import lesson
from mnist import report, split

from tinygrad_edu import data, manual_seed, nn, optim
from tinygrad_edu.training import fit, predict


def build():
    """The network: images (n, 1, 28, 28) -> logits (n, 10)."""
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


def prepared(images):
    """What the network takes of images (n, 28, 28): float32 with an axis of one channel, (n, 1, 28, 28)."""
    return data.normalize(images)[:, None]


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True, out=False, needs=())
    parser.add_argument("--epochs", type=lesson.integer(1), default=8)
    parser.add_argument("--batch-size", type=lesson.integer(1), default=64)
    parser.add_argument("--lr", type=lesson.above(0), default=2e-3, help="learning rate to start from")
    parser.add_argument("--checkpoint", type=Path, help="file to save the run to, and to go on with if it is there")
    args = parser.parse_args(argv)
    if args.checkpoint and not args.checkpoint.absolute().parent.is_dir():
        parser.error(f"argument --checkpoint: there is no folder {args.checkpoint.parent}; make it, or take another")
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    note = "" if name == "MNIST" else f" ({name})"

    held_out, kept = split(len(labels), seed=0)  # whatever the seed: a resumed run keeps its validation
    options = {"batch_size": args.batch_size, "transform": prepared}
    training = data.DataLoader(images[kept], labels[kept], shuffle=True, seed=args.seed, **options)
    validation = data.DataLoader(images[held_out], labels[held_out], **options)

    manual_seed(args.seed)
    model = build()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    start = time.perf_counter()
    fit(
        model,
        training,
        optimizer=optimizer,
        loss=nn.CrossEntropyLoss(),
        epochs=args.epochs,
        validation=validation,
        scheduler=optim.CosineAnnealingLR(optimizer, args.epochs),
        checkpoint=args.checkpoint,
    )
    logits = predict(model, data.DataLoader(test_images, test_labels, **options))
    print()
    report(model, logits, test_labels, time.perf_counter() - start, note)


if __name__ == "__main__":
    lesson.run(main)
