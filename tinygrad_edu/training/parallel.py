"""DataParallel: several processes train one model, each with its share of every batch.

The hard idea is that the mean over a batch is not the mean of its shares' means, unless these are of one size:

    p.grad = sum(gradients of all ranks) / size     # of 33 examples, 17 and 16: those of the second share count more

So each rank's gradient is multiplied by its number of examples; the sums of both over the ranks give the mean. Then all
ranks take the same step from the same weights, and have the same weights again: the numbers are those of one process.
"""

import math
import zlib
from copy import copy
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arguments import Named
from tinygrad_edu.arrays import brought, home, is_elsewhere
from tinygrad_edu.checks import check_number
from tinygrad_edu.engine import plain
from tinygrad_edu.files import say
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d, BatchNorm2d
from tinygrad_edu.random import default_generator, generators_in
from tinygrad_edu.ranks import Communicator, end_together, meet, wait, world
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training.batches import check_class
from tinygrad_edu.training.means import RunningMeans

__all__ = ["DataParallel"]


class DataParallel(metaclass=Named):
    """The processes that `mpiexec -n 4 python train.py` starts, as one training; without mpiexec it does nothing.

    At the start all ranks get the weights and buffers of rank 0. From then on the library's generator and those of the
    model differ by rank, so that ranks leave out different units; give what all ranks must draw alike, such as the
    order of a loader or a random_split, a seed of its own. BatchNorm normalizes each share by itself. An exception that
    nothing catches ends all ranks.

    `fit`, `evaluate` and `predict` take it as `parallel`; a loop of your own calls average_gradients, and total for
    what it has measured.

    Args:
        model: The same on all ranks, but for its values.
        comm: An mpi4py communicator; by default that of all processes.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        shard: (rank, size), for DataLoader.

    Raises:
        ImportError: mpiexec has started several processes, and mpi4py or an MPI library is missing.
        TypeError: The model is not a Module, or comm no communicator.
        ValueError: The ranks have different models.

    Example:
        parallel = DataParallel(model)
        for images, labels in DataLoader(images, labels, 64, shuffle=True, seed=0, shard=parallel.shard):
            loss = cross_entropy(model(images), labels)         # of 32 examples on each of two ranks
            optimizer.zero_grad()
            loss.backward()
            parallel.average_gradients(len(labels))
            optimizer.step()
    """

    def __init__(self, model: Module, comm: Communicator | None = None) -> None:
        check_class("DataParallel: model", model, Module)
        if comm is not None and not hasattr(comm, "Iallreduce"):
            raise TypeError(f"DataParallel: comm is {comm!r:.60}; it must be an mpi4py communicator: MPI.COMM_WORLD")
        self.model = model
        self._comm = world() if comm is None else comm
        self.rank, self.size = (0, 1) if self._comm is None else (self._comm.Get_rank(), self._comm.Get_size())
        self.shard = self.rank, self.size
        self._kinds: list[tuple[tuple[int, ...], np.dtype[Any]]] | None = None
        if self._comm is not None and self.size > 1:
            if type(self._comm).__module__.startswith("mpi4py"):
                end_together(self._comm)
            self._share_model()
            self.start_epoch()
            normal = next((m for m in model.modules() if isinstance(m, (BatchNorm1d, BatchNorm2d))), None)
            if normal is not None and self.rank == 0:
                share = f"each rank's share of a batch by itself, {64 // self.size} of 64 examples"
                say(f"DataParallel: {type(normal).__name__} normalizes {share}")

    def __repr__(self) -> str:
        return f"DataParallel(rank {self.rank} of {self.size})"

    def average_gradients(self, examples: float) -> None:
        """Makes each parameter's `.grad` the mean over the batches of all ranks; between backward() and step().

        A rank whose share is empty calls it too, with 0. What no rank has a gradient of stays None.

        Args:
            examples: How many the loss of this rank is a mean over; of a weighted mean the sum of the weights.

        Raises:
            RuntimeError: Other ranks do something else, such as being at the end of their batches.
            ValueError: The number is negative or not finite, or 0 on all ranks.
        """
        examples = check_number("DataParallel.average_gradients: examples", examples, at_least=0)
        if self.size > 1 and math.isnan(self.average(examples)):
            raise ValueError("DataParallel.average_gradients: there were 0 examples on every rank; pass len(labels)")

    def start_epoch(self, *loaders: object) -> None:
        """Makes what ranks draw, and so what they compute, depend on the state of rank 0 alone, which is the one saved.

        A rank's generators are those of rank 0, jumped ahead by its number; the orders of sharded loaders are rank 0's.
        `fit` calls it before each epoch. A loop of your own needs it if it saves checkpoints: then a run that is
        resumed on as many ranks gives the same weights, to the bit.

        Args:
            loaders: Those of the epoch; generators in their transforms follow, too.

        Raises:
            RuntimeError: The weights of the ranks differ, as after a step without average_gradients.
            TypeError: A generator that cannot be jumped ahead.
        """
        if self.size == 1:
            return
        self.agree()
        orders = {id(loader.rng) for loader in loaders if getattr(loader, "shuffle", False) and hasattr(loader, "rng")}
        found = {"library": default_generator()} | generators_in([self.model, *loaders])
        for name, rng in found.items():
            check_jumps(name, rng)
        states = self.ask_rank_0({name: rng.bit_generator.state for name, rng in found.items()}, "starts an epoch")
        for name, rng in found.items():
            rng.bit_generator.state = states[name]
            if self.rank and id(rng) not in orders:
                rng.bit_generator.state = rng.bit_generator.jumped(self.rank).state  # type: ignore[attr-defined]

    def total(self, means: RunningMeans) -> RunningMeans:
        """The means over the examples of all ranks, the same on each of them.

        Raises:
            RuntimeError: Other ranks do something else, such as still being in their batches.
            TypeError: It is not a RunningMeans.
        """
        check_class("DataParallel.total: means", means, RunningMeans)
        found = copy(means)
        if self.size > 1:
            sums = self.add_up([means.loss_sum, means.examples, means.labels, means.correct])
            found.loss_sum = float(sums[0])
            found.examples, found.labels, found.correct = sums[1:].astype(int).tolist()
        return found

    def end_pass(self, batches: int) -> None:
        """Raises a ValueError on all ranks unless all had as many batches."""
        counts = self._meet("is at the end of a pass").allgather(batches)
        if len({*counts}) > 1:
            rank = next(i for i, count in enumerate(counts) if count != counts[0])
            raise ValueError(
                f"DataParallel: rank 0 had {counts[0]} batches in this pass, and rank {rank} {counts[rank]}; all need "
                "as many: make them with DataLoader(..., shard=parallel.shard)"
            )

    def collect(self, own: list[Any]) -> list[list[Any]]:
        """The lists of all ranks."""
        return self._meet("collects outputs").allgather(own)

    def add_up(self, numbers: Any) -> NDArray[np.float64]:
        """Sums over all ranks, of as many numbers on each."""
        own = np.array(numbers, np.float64)
        found = np.empty_like(own)
        wait(self._meet("adds up its means").Iallreduce(own, found))
        return found

    def ask_rank_0(self, value: Any, act: str = "asks rank 0") -> Any:
        """What rank 0 has in this place."""
        return self._meet(act).bcast(value if self.rank == 0 else None)

    def agree(self) -> None:
        """Gives all ranks the buffers of rank 0, such as the running statistics of BatchNorm.

        Raises:
            RuntimeError: Their weights differ; it comes on all ranks.
        """
        self._check_weights()
        buffers = {path: home(buffer) for path, buffer in self.model.named_buffers()}
        if buffers:
            self.model.load_state_dict(self.ask_rank_0(buffers, "shares its buffers"), strict=False)

    def _check_weights(self) -> None:
        crc = 0
        for p in self.model.parameters():
            crc = zlib.crc32(np.ascontiguousarray(home(p.data)).reshape(-1).view(np.uint8).data, crc)
        found = np.empty(self.size, np.int64)
        wait(self._meet("compares its weights").Iallgather(np.array([crc], np.int64), found))
        if (found != found[0]).any():
            others = np.flatnonzero(found != found[0]).tolist()
            raise RuntimeError(
                f"DataParallel: the weights of rank {others[0]} are no longer those of rank 0, so each trains alone. "
                "Call parallel.average_gradients(len(labels)) after each backward(), and do nothing else to the "
                "weights that differs by rank"
            )

    def _meet(self, act: str) -> Communicator:
        """The communicator, once all ranks are about to do the same."""
        assert self._comm is not None
        meet(self._comm, act)
        return self._comm

    def _share_model(self) -> None:
        """Gives all ranks the values of rank 0's model, if they have the same arrays."""
        comm, state = self._meet("shares its model"), self.model.state_dict()
        found = comm.allgather([(path, value.shape, value.dtype.str) for path, value in state.items()])
        for rank, other in enumerate(found):
            if other != found[0]:
                own = next((pair for pair in zip(found[0], other, strict=False) if pair[0] != pair[1]), None)
                what = f"{described(*own[1])} and there {described(*own[0])}" if own else "fewer arrays or more"
                raise ValueError(f"DataParallel: the model of rank {rank} is not that of rank 0: it has {what}")
        self.model.load_state_dict(self.ask_rank_0(state, "shares its model"))

    def average(self, weight: float, loss: float = 0.0, *, summed: bool = False) -> float:
        """Makes the gradients weighted means over all ranks or, if `summed`, sums; returns the same of the loss.

        Where no rank has any weight that is NaN, and the gradients stay as they are.

        They travel in one array: the gradients times the weight, for each parameter whether there is one, the weight,
        and the loss, which is multiplied by the weight already.
        """
        params = list(self.model.parameters())
        self._lay_out(params)
        for p, part in zip(params, self._parts, strict=True):
            if p.grad is None or not weight:
                part.fill(0)
            else:
                np.multiply(home(plain(p.grad)), weight, out=part)
        tail = self._sums[-len(params) - 2 :]
        tail[:] = [*[p.grad is not None for p in params], weight, loss]
        wait(self._meet("averages gradients").Iallreduce(None, self._sums))  # None: in place
        *held, total, loss = tail.tolist()
        if not total:
            return math.nan
        divisor = 1.0 if summed else total
        for p, part, holders in zip(params, self._parts, held, strict=True):
            if holders:
                if is_elsewhere(p.data):
                    p.grad = brought((part / divisor).astype(p.dtype), p)
                    continue
                if not isinstance(p.grad, np.ndarray) or p.grad.dtype != p.dtype or not p.grad.flags.writeable:
                    p.grad = np.empty_like(part, p.dtype)
                np.divide(part, divisor, out=p.grad, casting="same_kind")
        return float(loss / divisor)

    def _lay_out(self, params: list[Tensor]) -> None:
        """Makes the array that is exchanged, and a view of it for each parameter, unless that of the last step fits.

        A linear layer's gradient is the transpose of an array; copied to rows it would take longer than all the rest.
        """
        kinds = [(p.shape, p.dtype) for p in params]
        if kinds == self._kinds:
            return
        orders = self.ask_rank_0([memory_order(home(plain(p.grad))) for p in params])
        ends = np.cumsum([0, *[p.size for p in params]]).tolist()
        self._sums = np.empty(ends[-1] + len(params) + 2, np.result_type(np.float32, *[p.dtype for p in params]))
        spans = zip(params, orders, ends[:-1], ends[1:], strict=True)
        self._parts = [self._sums[a:b].reshape(p.shape, order=order) for p, order, a, b in spans]
        self._kinds = kinds


def memory_order(gradient: NDArray[Any] | None) -> Literal["C", "F"]:
    """The order of an array's elements in memory, as np.reshape names it."""
    return "F" if gradient is not None and np.isfortran(gradient) else "C"


def check_jumps(name: str, rng: np.random.Generator) -> None:
    """Raises unless a generator can move so far ahead that it repeats nothing of what rank 0 draws."""
    kind = type(rng.bit_generator).__name__
    if not hasattr(rng.bit_generator, "jumped"):
        raise TypeError(
            f"DataParallel: the generator {name} is of the kind {kind}, which cannot be jumped ahead, so all ranks "
            "would draw the same; make it with np.random.default_rng(seed)"
        )


def described(path: str, shape: tuple[int, ...], dtype: str) -> str:
    """An array of a model, in words."""
    return f"{path} of shape {shape} and dtype {np.dtype(dtype)}"
