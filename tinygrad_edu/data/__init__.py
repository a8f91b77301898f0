"""Data to train on: MNIST, a synthetic stand-in, mini-batches, augmentation, and your own pictures of digits.

Everything here is plain NumPy arrays, independent of the autograd.

    train_images, train_labels, test_images, test_labels = load_mnist()
    for images, labels in DataLoader(train_images, train_labels, 64, shuffle=True, transform=normalize):
        ...
"""

from tinygrad_edu.data.augment import ElasticTransform, RandomAffine
from tinygrad_edu.data.digits import load_digits
from tinygrad_edu.data.idx import read_idx
from tinygrad_edu.data.loader import DataLoader, normalize
from tinygrad_edu.data.mnist import MNISTNotFoundError, load_mnist
from tinygrad_edu.data.pictures import read_digit
from tinygrad_edu.data.synthetic import synthetic_digits

__all__ = [
    "DataLoader",
    "ElasticTransform",
    "MNISTNotFoundError",
    "RandomAffine",
    "load_digits",
    "load_mnist",
    "normalize",
    "read_digit",
    "read_idx",
    "synthetic_digits",
]
