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

from tinygrad_edu.optim import lr_scheduler
from tinygrad_edu.optim.base import *
from tinygrad_edu.optim.clip import *
from tinygrad_edu.optim.cycles import *
from tinygrad_edu.optim.finder import *
from tinygrad_edu.optim.muon import *
from tinygrad_edu.optim.optimizers import *
from tinygrad_edu.optim.schedulers import *
from tinygrad_edu.optim.schedules import *
from tinygrad_edu.optim.sequences import *
from tinygrad_edu.torch_names import answer_names

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR",
    "LRFinderResult", "LambdaLR", "LinearLR", "LinearWarmup", "MultiStepLR", "Muon", "NAdam", "OneCycleLR", "Optimizer",
    "RMSprop", "ReduceLROnPlateau", "Scheduler", "SequentialLR", "StepLR", "clip_grad_norm_", "clip_grad_value_",
    "lr_finder", "lr_scheduler",
]  # fmt: skip

answer_names(__name__)
