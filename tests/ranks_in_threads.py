"""Ranks that are threads of this process, with a stand-in for the communicator of MPI."""

import threading
from concurrent.futures import ThreadPoolExecutor

SECONDS = 20


class Done:
    """The request of an exchange that is over."""

    def Test(self):
        return True


class Threads:
    """What a rank uses of mpi4py's Comm; `shared` is the same object for all."""

    def __init__(self, shared, rank):
        self.shared, self.rank = shared, rank

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return len(self.shared.slots)

    def allgather(self, value):
        self.shared.slots[self.rank] = value
        self.shared.barrier.wait(SECONDS)
        found = list(self.shared.slots)
        self.shared.barrier.wait(SECONDS)
        return found

    def bcast(self, value):
        return self.allgather(value)[0]

    def Iallgather(self, sent, received):
        received[...] = [values[0] for values in self.allgather(sent.copy())]
        return Done()

    def Iallreduce(self, sent, received):
        received[...] = sum(self.allgather((received if sent is None else sent).copy()))  # None: in place
        return Done()


class Shared:
    def __init__(self, size):
        self.slots, self.barrier = [None] * size, threading.Barrier(size)


def on_ranks(size, function):
    """What function(comm) returns on each rank, or the exception that it raises there."""
    shared = Shared(size)

    def run(rank):
        try:
            return function(Threads(shared, rank))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))
