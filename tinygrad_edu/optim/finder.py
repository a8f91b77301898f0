"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks").

Train for about a hundred batches while the rate grows exponentially. Steps that are too short change nothing, good ones
lower the loss, and steps that are too long blow it up; the curve shows all three. The model is wrecked then, so it is
put back as it was, and the optimizer too: Adam's moments of a diverged model would wreck it again in the first steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arguments import answering_for, others_by_name
from tinygrad_edu.checks import check_int, check_number
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.summary import preserve_state
from tinygrad_edu.optim.base import Optimizer
from tinygrad_edu.tensor import Tensor

__all__ = ["LRFinderResult", "loss_value", "lr_finder"]


class LRFinderResult(NamedTuple):
    """What lr_finder returns; plot losses over lrs with a logarithmic axis.

    Attributes:
        lrs: float64 array of shape (n,), the learning rates that were tried, rising.
        losses: float64 array of shape (n,), the smoothed loss before the step with that rate.
        suggestion: Where the loss fell fastest: the (geometric) middle of the factor of ten in the rate over which it
            fell most, before its lowest point; None if it never fell. A rate to try, not a truth: look at the curve.
    """

    lrs: NDArray[np.float64]
    losses: NDArray[np.float64]
    suggestion: float | None


@answering_for
@others_by_name
def lr_finder(
    model: Module,
    loader: Iterable[tuple[Any, Any]],
    *,
    optimizer: Optimizer,
    loss: Callable[[Any, Any], Any],
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.8,
    divergence: float = 4.0,
) -> LRFinderResult:
    """Trains with a rate that grows from step to step, and leaves everything as it was.

    Put back at the end, or on an exception: parameters, gradients, buffers and all other attributes of the modules, the
    optimizer, the library's random generator, and those that tinygrad_edu.random.generators_in finds in the model and
    the loader. Graphs made before are used up: the parameters count as updated.

    Args:
        model: Put into training mode for the test.
        loader: Batches (inputs, targets), as from DataLoader; begun again when it is through.
        optimizer: Of the model's parameters; all its groups get the same rate.
        loss: loss(model(inputs), targets) is a Tensor of shape ().
        start_lr: The first rate, above 0.
        end_lr: The last rate, above start_lr.
        steps: How many batches, at least 2; the rates are evenly spaced on a logarithmic axis.
        smoothing: Share of the old average that is kept when a loss comes in, in [0, 1): 0.8 averages about 5. More
            suits noisy losses, and shifts the curve to the right.
        divergence: Stop when the smoothed loss is this many times its lowest value, or not finite.

    Returns:
        The curve up to there and a suggestion, see LRFinderResult.

    Raises:
        TypeError: `model` is not a Module, `optimizer` not an Optimizer, `loss` not a function, or a batch not a pair.
        ValueError: A number is out of range, the optimizer has no parameter of the model, the loader is empty, the loss
            is not a single number, or the very first one is not finite.

    Example:
        found = lr_finder(model, loader, optimizer=optimizer, loss=cross_entropy)
        if found.suggestion is not None:
            optimizer.lr = found.suggestion     # before a scheduler is made, which starts from this rate
    """
    name = "lr_finder"
    if not isinstance(model, Module) or not isinstance(optimizer, Optimizer):
        found = f"{type(model).__name__} and {type(optimizer).__name__}"
        raise TypeError(f"{name}: needs a Module and an Optimizer, got {found}")
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"{name}: loss must be a function of (outputs, targets), got {loss!r:.80}")
    if not isinstance(loader, Iterable):
        raise TypeError(f"{name}: loader is of type {type(loader).__name__}; use a DataLoader or a list of batches")
    if getattr(loader, "shard", (0, 1))[1] > 1:
        raise ValueError(f"{name}: the loader gives a rank's shares, and ranks would find other rates; run it without")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError(f"{name}: the optimizer has none of the model's parameters; make it with model.parameters()")
    start_lr = check_number(f"{name}: start_lr", start_lr, above=0)
    end_lr = check_number(f"{name}: end_lr, to which the rate rises from start_lr,", end_lr, above=start_lr)
    steps = check_int(f"{name}: steps", steps, 2)
    smoothing = check_number(f"{name}: smoothing", smoothing, at_least=0, below=1)
    divergence = check_number(f"{name}: divergence", divergence, above=1)

    rates, losses = np.geomspace(start_lr, end_lr, steps), []
    average, best = 0.0, math.inf
    with preserve_training(model, optimizer, loader), np.errstate(all="ignore"):  # overflow is where this leads
        model.train()
        for k, (lr, (inputs, targets)) in enumerate(zip(rates.tolist(), repeat_batches(loader), strict=False)):
            optimizer.lr = lr
            optimizer.zero_grad()
            batch_loss = loss(model(inputs), targets)
            value = loss_value(batch_loss, name)
            if not math.isfinite(value):
                break
            average = smoothing * average + (1 - smoothing) * value
            losses.append(average / (1 - smoothing ** (k + 1)))  # the average began with 0
            best = min(best, losses[-1])
            if losses[-1] > best + (divergence - 1) * abs(best):
                break
            batch_loss.backward()
            optimizer.step()
    if not losses:
        raise ValueError(f"{name}: the first loss is {value}; look at the data and the initial weights")
    curve = np.array(losses)
    return LRFinderResult(rates[: len(curve)], curve, suggest_lr(rates[: len(curve)], curve))


def loss_value(loss: object, where: str) -> float:
    """The number in a batch's loss; anything other than a Tensor of shape () is a ValueError."""
    if not isinstance(loss, Tensor) or loss.shape:
        what = f"shape {loss.shape}" if hasattr(loss, "shape") else type(loss).__name__
        raise ValueError(f"{where}: the loss must be a mean, a Tensor of shape (); got {what}. Use reduction='mean'")
    return float(loss.item())


def suggest_lr(lrs: NDArray[np.float64], losses: NDArray[np.float64]) -> float | None:
    """As LRFinderResult says; over a decade, because between neighbours the batches' noise is larger than the fall."""
    n = int(losses.argmin()) + 1
    if n < 2:
        return None
    width = min(max(1, round(math.log(10) / math.log(lrs[1] / lrs[0]))), n - 1)
    falls = losses[: n - width] - losses[width:n]
    k = int(falls.argmax())
    return math.sqrt(lrs[k] * lrs[k + width]) if falls[k] > 0 else None


def repeat_batches(loader: Iterable[Any]) -> Iterator[Any]:
    """The loader's batches, again and again."""
    while True:
        batch = None
        for batch in loader:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise TypeError(f"lr_finder: a batch must be a pair (inputs, targets), got {type(batch).__name__}")
            yield batch
        if batch is None:
            raise ValueError("lr_finder: the loader has no batches (left); a generator can be used up only once")


@contextmanager
def preserve_training(model: Module, optimizer: Optimizer, loader: object) -> Iterator[None]:
    """Context manager: afterwards, also after an error, everything that training changes is as it was."""
    trained = Module()
    vars(trained).update(model=model, params=optimizer.params)  # the optimizer may have other parameters too
    values = [(p, p.numpy()) for p in trained.parameters()]
    state = optimizer.state_dict()
    try:
        with preserve_state(trained, loader):
            yield
    finally:
        for p, array in values:
            p.assign(array)
        optimizer.load_state_dict(state)
