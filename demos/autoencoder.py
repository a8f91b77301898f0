"""An autoencoder squeezes digits through two numbers and draws them again: a map of all digits, made without labels.

An encoder makes a few numbers of 784 pixels, a decoder makes 784 pixels of the few, and the loss is the mistake of the
picture that comes back. What gets through is what tells the training images apart: with one number hardly which digit
it is, with two its rough shape, with 32 the handwriting. The labels are never looked at, and still like digits lie
together. The same with layers that are lines is principal component analysis (Baldi & Hornik 1989), whose
best loss can be computed; the bent ones do better with as few numbers (Hinton & Salakhutdinov 2006).
Run it with `python demos/autoencoder.py`; without MNIST it learns synthetic digits and says so.
"""

import lesson
import numpy as np

from tinygrad_edu import data, functional as F, manual_seed, nn, no_grad, optim, plots


class Autoencoder(nn.Module):
    """Pixels to a code of some numbers, and back: (n, 784) -> (n, 784)."""

    def __init__(self, numbers, width):
        self.encoder = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, numbers))
        self.decoder = nn.Sequential(nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, 784))

    def forward(self, pixels):
        return self.decoder(self.encoder(pixels)).sigmoid()


def pixels(images):
    """Images (n, 28, 28) as numbers from 0 to 1, (n, 784)."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def train(model, images, epochs, rng, batch_size=64):
    """Trains on images (n, 784) to give them back, with a rate that falls to 0; the loss of each epoch."""
    optimizer, losses = optim.Adam(model.parameters(), lr=2e-3), []
    schedule = optim.CosineAnnealingLR(optimizer, epochs)
    loader = data.DataLoader(data.TensorDataset(images), batch_size, shuffle=True, rng=rng)
    for _ in range(epochs):
        total = 0.0
        for (batch,) in loader:
            loss = F.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(images))
        schedule.step()
    return losses


def principal(images, test, numbers):
    """The loss on test images of the best code by lines: their distance from a plane through the training images."""
    mean = images.mean(0)
    _, directions = np.linalg.eigh(np.cov((images - mean).T))  # in ascending order
    plane = directions[:, ::-1][:, :numbers]
    rest = (test - mean) - (test - mean) @ plane @ plane.T
    return float(np.mean(rest**2))


def neighbours(codes, labels):
    """How often the nearest other code is of the same digit."""
    squares = (codes**2).sum(1)
    distances = squares[:, None] + squares - 2 * codes @ codes.T
    np.fill_diagonal(distances, np.inf)
    return np.mean(labels[distances.argmin(1)] == labels)


def sheet(decoder, codes, side):
    """The plane of codes as one picture: what the decoder draws at side * side places, from corner to corner."""
    (left, low), (right, high) = np.quantile(codes, [0.02, 0.98], axis=0)
    x, y = np.meshgrid(np.linspace(left, right, side), np.linspace(high, low, side))
    drawn = decoder(np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)).sigmoid().data
    return drawn.reshape(side, side, 28, 28).swapaxes(1, 2).reshape(28 * side, 28 * side)


def main(argv=None):
    parser, size = lesson.parser(__doc__, digits=True), lesson.integer(1, most=10**6)
    several = lesson.integer(1, most=784)
    parser.add_argument("--numbers", type=several, nargs="+", default=[1, 2, 8, 32], help="lengths of codes to compare")
    parser.add_argument("--width", type=lesson.units, default=256, help="hidden units of either half")
    parser.add_argument("--epochs", type=size, default=20)
    parser.add_argument("--images", type=lesson.integer(2), default=6000, help="training images")
    parser.add_argument("--side", type=lesson.integer(2, most=100), default=16, help="digits in a row of the sheet")
    args = parser.parse_args(argv)
    name, (images, _, test, labels) = lesson.load_digits(args)
    images, test, labels = pixels(images[: args.images]), pixels(test[:1000]), labels[:1000]
    manual_seed(args.seed)
    rng, models = np.random.default_rng(args.seed), {}

    print(f"squared mistake of a pixel, from 0 to 1; {len(images):,} images of {name}, {args.epochs} epochs")
    print("numbers   training     test   by lines   right by the nearest code")
    with_mean = float(np.mean((test - images.mean(0)) ** 2))
    print(f"{0:7}   {'':8}   {with_mean:6.4f}   {with_mean:8.4f}   (the mean of all images)")
    for numbers in sorted({2, *args.numbers}):
        models[numbers] = model = Autoencoder(numbers, args.width)
        losses = train(model, images, args.epochs, rng)
        with no_grad():
            loss, codes = F.mse_loss(model(test), test).item(), model.encoder(test).data
        line = principal(images, test, numbers)
        print(
            f"{numbers:7}   {losses[-1]:8.4f}   {loss:6.4f}   {line:8.4f}   {neighbours(codes, labels):7.1%}",
            flush=True,
        )
    print("The last column: how often the test image with the nearest code is the same digit; 10% by chance.\n")

    with no_grad():
        shown = test[:8].reshape(-1, 28, 28)
        rows = [shown, *[model(test[:8]).data.reshape(-1, 28, 28) for model in models.values()]]
        codes = models[2].encoder(test).data
        plane = sheet(models[2].decoder, codes, args.side)
    titles = ["image", *[f"{n} number{'s' * (n > 1)}" for n in models]]
    names = [title for title in titles for _ in shown]
    lesson.save(plots.images(np.concatenate(rows), names, columns=len(shown)), args.out / "autoencoder_digits.png")
    title = "What the decoder draws at each place of the plane"
    lesson.save(plots.images([plane], title=title), args.out / "autoencoder_sheet.png")
    clouds = {str(digit): codes[labels == digit][:60] for digit in range(10)}
    title = "Where the encoder puts test images, which it has not seen"
    figure = plots.scatter({"": clouds}, title=title, xlabel="first number", ylabel="second number")
    lesson.save(figure, args.out / "autoencoder_codes.png")


if __name__ == "__main__":
    lesson.run(main)
