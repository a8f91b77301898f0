"""Neural networks: Module, layers, losses and initial values, with PyTorch's names and state_dict keys.

model = nn.MLP([784, 128, 64, 10])
loss = nn.CrossEntropyLoss()(model(images), labels)     # images (n, 784), labels (n,)
"""

from tinygrad_edu.nn import init
from tinygrad_edu.nn.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_edu.nn.containers import MLP, Residual, Sequential
from tinygrad_edu.nn.convolution import AvgPool2d, Conv2d, MaxPool2d
from tinygrad_edu.nn.layers import Dropout, Flatten, Linear, Maxout
from tinygrad_edu.nn.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from tinygrad_edu.nn.serialization import load, load_metadata, save
from tinygrad_edu.nn.summary import summary

__all__ = [
    "ELU", "GELU", "MLP", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Conv2d",
    "CrossEntropyLoss", "Dropout", "Flatten", "HuberLoss", "Identity", "L1Loss", "LayerNorm", "LeakyReLU", "Linear",
    "LogSoftmax", "MSELoss", "MaxPool2d", "Maxout", "Module", "NLLLoss", "PReLU", "ReLU", "Residual", "Sequential",
    "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "init", "load", "load_metadata", "save", "summary",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
