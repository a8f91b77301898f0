"""The processes that mpiexec has started: which of them this is, and how all end together.

The hard idea is that a process which waits for another does not notice that the other is gone or does something else:

    for images, labels in batches:
        if labels.max() > 9:
            sys.exit("wrong labels")        # on one rank: the others wait for its gradients for ever

So before ranks exchange anything they meet: each says what it is about to do, and where they differ all raise an error.
Leaving the program is one of these acts. An exception that nothing catches ends all ranks at once.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np

__all__ = ["Communicator", "end_together", "fail", "launched", "meet", "wait", "world"]

LAUNCHERS = [("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMIX_RANK", "")]
LEAVE = "has ended its program"
ACTS = [
    LEAVE, "shares its model", "starts an epoch", "averages gradients", "is at the end of a pass",
    "compares its weights", "shares its buffers", "adds up its means", "collects outputs", "asks rank 0",
]  # fmt: skip
BUSY, NAP = 2e-4, 1e-4  # seconds: how long a wait keeps its core, and the naps after that
DRAIN = 0.3  # seconds for mpiexec to pass on what was printed, before Abort ends it too
PATIENCE = 1.0  # seconds that other ranks leave to rank 0, which may have the same to say

guarded: Communicator | None = None  # whose ranks end together


class Request(Protocol):
    """What is used of an mpi4py.MPI.Request."""

    def Test(self) -> bool: ...


class Communicator(Protocol):
    """What is used of an mpi4py.MPI.Comm."""

    def Get_rank(self) -> int: ...

    def Get_size(self) -> int: ...

    def Iallreduce(self, sendbuf: Any, recvbuf: Any, /) -> Request: ...

    def Iallgather(self, sendbuf: Any, recvbuf: Any, /) -> Request: ...

    def allgather(self, value: Any, /) -> list[Any]: ...

    def bcast(self, value: Any, /) -> Any: ...

    def Abort(self, code: int, /) -> Any: ...


def launched() -> tuple[int, int]:
    """The rank of this process and how many there are, as mpiexec says in the environment: (0, 1) without it."""
    for rank, size in LAUNCHERS:
        if os.environ.get(rank, "").isdigit() and os.environ.get(size, "").isdigit():
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def world() -> Communicator | None:
    """All processes that mpiexec has started; None if this is the only one, and mpi4py was not imported.

    Raises:
        ImportError: There are several, and mpi4py or an MPI library is missing.
        RuntimeError: There are several, but each is alone in its own MPI.
    """
    by_mpi = any(rank in os.environ for rank, _ in LAUNCHERS) and os.environ.get("PMI_SIZE") != "1"
    if not by_mpi and "mpi4py.MPI" not in sys.modules:
        return None
    size = launched()[1]
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"mpiexec has started {size} processes, but {error}: they cannot reach each other, and each would train "
            'alone. pip install "tinygrad-edu[mpi]" brings mpi4py and an MPI library'
        ) from error
    comm: Communicator = MPI.COMM_WORLD
    if comm.Get_size() == 1 < size:
        raise RuntimeError(
            f"mpiexec has started {size} processes, but mpi4py sees one: the two belong to different MPIs. Use the "
            f"mpiexec of mpi4py's, which is {MPI.Get_library_version().splitlines()[0]}"
        )
    return comm


def wait(request: Request, nap: float = 0.0) -> None:
    """Waits for an exchange; MPI itself would keep a core busy meanwhile, which another rank may need to get there.

    Where the ranks are there already, a nap of 0 seconds is best: it lets others go first, if there are any.
    """
    due = time.perf_counter() + BUSY
    while not request.Test():
        if time.perf_counter() > due:
            time.sleep(nap)


def meet(comm: Communicator, act: str) -> None:
    """Waits for all ranks; where they are about to do different things, all raise the same RuntimeError."""
    own = ACTS.index(act)
    found = np.zeros(comm.Get_size(), np.int32)
    wait(comm.Iallgather(np.array([own], np.int32), found), NAP)
    if (found != own).any():
        doing = {code: np.flatnonzero(found == code).tolist() for code in sorted({*found.tolist()}, reverse=True)}
        parts = [f"{named_ranks(ranks)} {ACTS[code]}" for code, ranks in doing.items()]
        raise RuntimeError(
            f"the ranks no longer do the same: {', but '.join(parts)}. Each must go through the same loop, with as "
            "many batches: make them with DataLoader(..., shard=parallel.shard), and branch on nothing that differs"
        )


def named_ranks(ranks: list[int]) -> str:
    """Ranks in words: "rank 3", or "each of ranks 0, 1, 2, 3 and 12 more"."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    more = f" and {len(ranks) - 4} more" if len(ranks) > 4 else ""
    return f"each of ranks {', '.join(map(str, ranks[:4]))}{more}"


def end_together(comm: Communicator) -> None:
    """From now on an exception that nothing catches ends all ranks, and none leaves while others wait for it."""
    global guarded
    if guarded is not None or comm.Get_size() == 1:
        return
    guarded = comm
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        fail(130 if issubclass(kind, KeyboardInterrupt) else 1, lambda: before(kind, error, traceback))

    sys.excepthook = hook
    atexit.register(leave, comm)


def fail(code: int, tell: Callable[[], object]) -> None:
    """Tells what went wrong and ends all ranks, if there are several; with one it does nothing.

    Of an error that all ranks have in common, rank 0 tells, for it ends the others before they do.
    """
    if guarded is None:
        return
    rank, size = guarded.Get_rank(), guarded.Get_size()
    time.sleep(PATIENCE if rank else 0)
    tell()
    if code != 130:
        print(f"this was rank {rank} of {size}; all of them end", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if not getattr(stream, "closed", True):
            stream.flush()
    time.sleep(DRAIN)
    guarded.Abort(code)
    os._exit(code)  # where Abort returns, the end of the program would meet the others


def leave(comm: Communicator) -> None:
    """At the end of the program: waits until the others are there too."""
    from mpi4py import MPI

    if MPI.Is_finalized():
        return
    try:
        meet(comm, LEAVE)
    except RuntimeError as error:
        reason = str(error)
        time.sleep(PATIENCE)  # the others know it too, and say where they are
        fail(1, lambda: print(reason, file=sys.stderr))
