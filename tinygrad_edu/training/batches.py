"""What a pass over batches takes, and the checks of it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.engine import is_tensor, plain
from tinygrad_edu.tensor import Tensor

__all__ = [
    "NOT_FINITE", "NO_BATCHES", "Batches", "Criterion", "check_class", "check_iterable", "check_loss",
    "inputs_and_targets",
]  # fmt: skip

Batches = Iterable[Any]  # of pairs (inputs, targets)
Criterion = Callable[[Any, Any], Tensor]  # a loss, as a function of (outputs, targets)

NO_BATCHES = "there are no batches; is the data set empty, or with drop_last=True shorter than a batch?"
NOT_FINITE = (
    "Often the steps are too long: try a learning rate ten times smaller, or optim.clip_grad_norm_; see whether the "
    "inputs are finite and about of size 1; detect_anomaly() names the first op that makes a NaN or an infinity"
)


def inputs_and_targets(batch: Any, where: str, *, may_be_empty: bool = False) -> tuple[Any, Any]:
    """The two parts of a batch."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"{where}: a batch must be a pair (inputs, targets), got {type(batch).__name__}")
    if not np.shape(plain(batch[1])) or not (may_be_empty or len(batch[1])):
        raise ValueError(f"{where}: targets of shape {np.shape(plain(batch[1]))} hold no examples")
    return batch[0], batch[1]


def check_class(name: str, value: object, kind: type, optional: bool = False) -> None:
    """Raises if the value is not of the class, with a hint if it is the class itself; None may be allowed."""
    if not isinstance(value, kind) and not (optional and value is None):
        hint = f"; write {value.__name__}(...)" if isinstance(value, type) and issubclass(value, kind) else ""
        raise TypeError(f"{name} must be of the class {kind.__name__}, got {value!r:.80}{hint}")


def check_iterable(name: str, batches: object) -> None:
    """Raises if there are no batches to iterate over, only the inputs for example."""
    if isinstance(batches, np.ndarray) or is_tensor(batches):
        made = "batches of pairs are made with DataLoader(inputs, targets), one batch is [(inputs, targets)]"
        raise TypeError(f"{name} is of type {type(batches).__name__}: inputs without their targets; {made}")
    if not isinstance(batches, Iterable):
        raise TypeError(f"{name} is of type {type(batches).__name__}: it gives no batches; use a DataLoader or a list")


def check_loss(owner: str, loss: object) -> None:
    """Raises if the loss is not a function, or is a class."""
    if not callable(loss) or isinstance(loss, type):
        hint = f"write {loss.__name__}()" if isinstance(loss, type) else "for example nn.CrossEntropyLoss()"
        raise TypeError(f"{owner}: loss must be a function of (outputs, targets), got {loss!r:.80}; {hint}")
