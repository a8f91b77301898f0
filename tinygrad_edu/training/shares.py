"""A pass over batches of which each rank has its share: the loop of epoch.py, for a DataParallel."""

import math
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arrays import home
from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.functional import cross_entropy, nll_loss
from tinygrad_edu.nn.losses import NLLLoss
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.training.batches import NO_BATCHES, NOT_FINITE, Batches, Criterion, check_class, inputs_and_targets
from tinygrad_edu.training.means import RunningMeans
from tinygrad_edu.training.parallel import DataParallel

__all__ = ["check_parallel", "check_shares", "shared_outputs", "shared_pass"]


def check_parallel(owner: str, parallel: DataParallel | None, model: Module) -> DataParallel | None:
    """The ranks to share with, if there are several and they train this model; else None."""
    check_class(f"{owner}: parallel", parallel, DataParallel, optional=True)
    if parallel is None:
        return None
    if parallel.model is not model:
        raise ValueError(f"{owner}: parallel was made of another model; write parallel=DataParallel(model)")
    return parallel if parallel.size > 1 else None


def check_shares(name: str, batches: Batches, parallel: DataParallel | None) -> None:
    """Raises unless the batches are this rank's shares."""
    shard = getattr(batches, "shard", (0, 1))
    add = "make it with DataLoader(..., shard=parallel.shard)"
    if parallel is None:
        if shard[1] > 1:
            missing = "and there is no parallel= or but one rank, so the others' examples would be left out"
            raise ValueError(f"{name} gives the shares of rank {shard[0]} of {shard[1]}, {missing}")
    elif shard[1] == 1:
        raise ValueError(
            f"{name} is a {type(batches).__name__} that gives all examples to each of {parallel.size} ranks; {add}"
        )
    elif shard != parallel.shard:
        raise ValueError(
            f"{name} gives the shares of rank {shard[0]} of {shard[1]}; this is rank {parallel.rank} of "
            f"{parallel.size}: {add}"
        )


def shared_pass(
    model: Module,
    batches: Batches,
    loss: Criterion,
    where: str,
    parallel: DataParallel,
    optimizer: Optimizer | None = None,
    must_be_finite: bool = True,
) -> RunningMeans:
    """As epoch.one_pass; the means are over all ranks' examples, the same on each of them."""
    summed = getattr(loss, "reduction", "mean") == "sum"
    own, rows = RunningMeans(), []
    with nullcontext() if optimizer is not None else no_grad():
        for number, batch in enumerate(batches, 1):
            at = f"{where}, batch {number}"
            inputs, targets = inputs_and_targets(batch, at, may_be_empty=True)
            if optimizer is not None:
                optimizer.zero_grad()
            weight = value = 0.0
            if len(targets):
                outputs = model(inputs)
                weight = 1.0 if summed else loss_weight(loss, outputs, targets)
                if weight:  # without any the mean is NaN
                    batch_loss = loss(outputs, targets)
                    value = loss_value(batch_loss, at)
                    if optimizer is not None and math.isfinite(value):
                        batch_loss.backward()
                own.add(value, outputs, targets)
            if optimizer is not None:
                whole = parallel.average(weight, weight * value, summed=summed)
                if must_be_finite and not math.isfinite(whole):
                    raise FloatingPointError(f"{at}: the loss became {whole}. {NOT_FINITE}")
                optimizer.step()
            rows.append([weight * value, weight, len(targets)])
    parallel.end_pass(len(rows))
    if optimizer is not None:
        parallel.agree()
    return total(own, np.reshape(rows, (-1, 3)), summed, where, parallel, must_be_finite)


def total(
    own: RunningMeans, rows: NDArray[Any], summed: bool, where: str, parallel: DataParallel, must_be_finite: bool
) -> RunningMeans:
    """The means over all ranks, of each rank's sums of the loss, sums of the weights and numbers of examples (n, 3)."""
    sums = parallel.add_up([*rows.ravel(), own.labels, own.correct])
    losses, weights, examples = sums[:-2].reshape(-1, 3).T
    with np.errstate(invalid="ignore"):
        values = losses if summed else losses / weights
    if must_be_finite and not np.isfinite(values).all():
        first = int(np.isfinite(values).argmin())
        raise FloatingPointError(f"{where}, batch {first + 1}: the loss became {values[first]}. {NOT_FINITE}")
    means = RunningMeans()
    means.examples, means.labels, means.correct = int(examples.sum()), int(sums[-2]), int(sums[-1])
    means.loss_sum = float(sum((values if summed else values * examples).tolist()))
    if not means.examples:
        raise ValueError(f"{where}: {NO_BATCHES}")
    return means


def shared_outputs(model: Module, batches: Batches, parallel: DataParallel) -> list[NDArray[Any]]:
    """What epoch.predict puts together: the outputs of all ranks in the order of one process."""
    own = []
    for number, batch in enumerate(batches, 1):
        inputs, targets = inputs_and_targets(batch, f"predict, batch {number}", may_be_empty=True)
        own.append(home(plain(model(inputs))) if len(targets) else None)
    parallel.end_pass(len(own))
    found = parallel.collect(own)
    return [part for parts in zip(*found, strict=True) for part in parts if part is not None]


def loss_weight(loss: Criterion, outputs: Any, targets: Any) -> float:
    """What a mean was divided by: the labels that count, by their weights, else the number of all targets."""
    labels, options = np.asarray(home(plain(targets))), vars(loss) if isinstance(loss, NLLLoss) else {}
    function = loss
    while isinstance(function, partial):
        options, function = {**function.keywords, **options}, function.func
    if labels.shape != np.shape(plain(outputs))[:-1] or not (isinstance(loss, NLLLoss) or function in LABEL_LOSSES):
        return float(labels.size)
    counted = labels[labels != options.get("ignore_index", -100)]
    weight = options.get("weight")
    return float(counted.size if weight is None else np.asarray(home(plain(weight)), np.float64)[counted].sum())


LABEL_LOSSES = (cross_entropy, nll_loss)
