"""Optimizers: they turn gradients into steps, with PyTorch's names, defaults and update rules.

optimizer = optim.AdamW([{"params": body.parameters(), "lr": 1e-4}, {"params": head.parameters()}], lr=1e-3)
scheduler = optim.CosineAnnealingLR(optimizer, T_max=epochs)
for epoch in range(epochs):
    for images, labels in loader:
        optimizer.zero_grad()
        loss_function(model(images), labels).backward()
        optim.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
    scheduler.step()
"""

from typing import NoReturn

from tinygrad_edu.arguments import missing_name
from tinygrad_edu.optim.base import *
from tinygrad_edu.optim.clip import *
from tinygrad_edu.optim.finder import *
from tinygrad_edu.optim.muon import *
from tinygrad_edu.optim.optimizers import *
from tinygrad_edu.optim.schedulers import *

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "CosineAnnealingLR", "ExponentialLR", "LRFinderResult", "LinearWarmup", "Muon",
    "NAdam", "Optimizer", "RMSprop", "ReduceLROnPlateau", "Scheduler", "StepLR", "clip_grad_norm_", "clip_grad_value_",
    "lr_finder",
]  # fmt: skip


def __getattr__(name: str) -> NoReturn:
    raise missing_name("tinygrad_edu.optim", name, __all__)


def __dir__() -> list[str]:
    return __all__
