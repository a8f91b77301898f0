"""Neural networks: Module, layers, losses and initial values, with PyTorch's names and state_dict keys.

model = nn.MLP([784, 128, 64, 10])
loss = nn.CrossEntropyLoss()(model(images), labels)     # images (n, 784), labels (n,)
"""

from tinygrad_edu.nn import init
from tinygrad_edu.nn.layers import MLP, Flatten, Identity, Linear, ReLU, Sequential, Sigmoid, Softmax, Tanh
from tinygrad_edu.nn.losses import CrossEntropyLoss, MSELoss
from tinygrad_edu.nn.module import Module

__all__ = [
    "MLP",
    "CrossEntropyLoss",
    "Flatten",
    "Identity",
    "Linear",
    "MSELoss",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "init",
]
