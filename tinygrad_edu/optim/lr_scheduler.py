"""The schedulers under PyTorch's name for their place: optim.lr_scheduler.StepLR is optim.StepLR."""

from tinygrad_edu.optim.cycles import CosineAnnealingWarmRestarts, OneCycleLR
from tinygrad_edu.optim.schedulers import ReduceLROnPlateau, Scheduler
from tinygrad_edu.optim.schedules import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, StepLR
from tinygrad_edu.optim.sequences import LinearWarmup, SequentialLR
from tinygrad_edu.torch_names import answer_names

__all__ = [
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR",
    "LinearWarmup", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "Scheduler", "SequentialLR", "StepLR",
]  # fmt: skip

LRScheduler = Scheduler

answer_names(__name__)
