"""Trains a small convolutional network to read handwritten digits, after LeNet (LeCun et al. 1998).

A kernel of 5 x 5 weights slides over the image: what it learns in one corner it finds everywhere, so that 18,000
weights do better than the 235,000 of the fully connected network in demos/mnist.py.
Pooling keeps the strongest answer among 2 x 2 pixels: a stroke may move a little without changing the result.
The loop is that of demos/mnist.py, as the function `fit`.
Run it with `python demos/cnn.py`; without MNIST's files and network it trains on synthetic digits and says so.
"""

import sys
import time
from pathlib import Path

import lesson
import numpy as np

from tinygrad_edu import data, manual_seed, nn, no_grad, optim
from tinygrad_edu.training import accuracy, confusion_matrix, fit, most_confused_pair


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


@no_grad()
def predict(model, loader):
    """The predicted labels, shape (n,)."""
    model.eval()
    return np.concatenate([model(images).data.argmax(axis=1) for images, _ in loader])


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

    order = np.random.default_rng(0).permutation(len(labels))  # whatever the seed: a resumed run keeps its validation
    held_out, kept = np.split(order, [max(1, len(labels) // 12)])  # 5,000 and 55,000 of MNIST's 60,000
    options = {"batch_size": args.batch_size, "transform": prepared}
    training = data.DataLoader(images[kept], labels[kept], shuffle=True, seed=args.seed, **options)
    validation = data.DataLoader(images[held_out], labels[held_out], **options)

    manual_seed(args.seed)
    model = build()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    start = time.perf_counter()
    try:
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
    except (ImportError, OSError, ValueError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    predictions = predict(model, data.DataLoader(test_images, test_labels, **options))
    true, predicted, count = most_confused_pair(confusion_matrix(predictions, test_labels, 10))
    print(f"\ntest accuracy: {accuracy(predictions, test_labels):.2%}{note}")
    print(f"parameters: {sum(p.size for p in model.parameters()):,}")
    print(f"time: {time.perf_counter() - start:.1f} s")
    print(f"most confused: {f'{true} taken for {predicted}' if count else 'none'}{note}")


if __name__ == "__main__":
    lesson.run(main)
