"""Neural networks: Module, layers, losses and initial values, with PyTorch's names and state_dict keys.

model = nn.MLP([784, 128, 64, 10])
loss = nn.CrossEntropyLoss()(model(images), labels)     # images (n, 784), labels (n,)
"""

from tinygrad_edu.nn import init
from tinygrad_edu.nn.activations import *
from tinygrad_edu.nn.attention import *
from tinygrad_edu.nn.containers import *
from tinygrad_edu.nn.convolution import *
from tinygrad_edu.nn.layers import *
from tinygrad_edu.nn.losses import *
from tinygrad_edu.nn.module import *
from tinygrad_edu.nn.normalization import *
from tinygrad_edu.nn.pooling import *
from tinygrad_edu.nn.recurrent import *
from tinygrad_edu.nn.serialization import *
from tinygrad_edu.nn.summary import *
from tinygrad_edu.torch_names import answer_module, answer_names

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "MLP", "RNN", "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Dropout", "Embedding",
    "Flatten", "GRUCell", "GroupNorm", "HingeEmbeddingLoss", "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LSTMCell",
    "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "MaxPool2d", "Maxout", "Module", "ModuleDict",
    "ModuleList", "MultiMarginLoss", "MultiheadAttention", "NLLLoss", "PReLU", "RMSNorm", "RNNCell", "ReLU", "Residual",
    "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh", "Upsample", "init", "load",
    "load_metadata", "save", "summary",
]  # fmt: skip

answer_names(__name__)
answer_module(Module)
