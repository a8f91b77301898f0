"""PyTorch's F."""

from tinygrad_edu.functional.activations import *
from tinygrad_edu.functional.activations import __all__, avg_pool2d, conv2d, max_pool2d
