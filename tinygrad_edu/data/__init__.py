"""Data to train on: MNIST, a synthetic stand-in, data sets, mini-batches, augmentation, your own pictures of digits.

Everything here is plain NumPy arrays, independent of the autograd.

    train_images, train_labels, test_images, test_labels = load_mnist()
    for images, labels in DataLoader(train_images, train_labels, 64, shuffle=True, transform=normalize):
        ...
"""

from tinygrad_edu.data.augment import *
from tinygrad_edu.data.dataset import *
from tinygrad_edu.data.idx import *
from tinygrad_edu.data.loader import *
from tinygrad_edu.data.mnist import *
from tinygrad_edu.data.pictures import *
from tinygrad_edu.data.synthetic import *
from tinygrad_edu.torch_names import answer_names

__all__ = [
    "DataLoader", "Dataset", "ElasticTransform", "MNISTNotFoundError", "RandomAffine", "Subset", "TensorDataset",
    "default_collate", "load_digits", "load_mnist", "normalize", "random_split", "read_digit", "read_idx",
    "synthetic_digits",
]  # fmt: skip

answer_names(__name__)
