"""Data parallel training: each rank has the whole model and a share of the batch, and gradients are averaged.

Three lines of a training loop do it: `DataParallel(model)`, `shard` for the loader, and `average_gradients` between
backward and step. The weights are those of one process.
A step takes what a rank computes, which shrinks with its share, and an all-reduce of the gradients, which grows with
the ranks: in a ring of p ranks each sends 2 (p - 1) messages of bytes / p (Patarasuk and Yuan 2009), and a message
takes latency + bytes / bandwidth (Hockney 1994).
Both are measured on 1 and 2 ranks here, fitted, and drawn to 1,024: with a fixed batch a rank (weak scaling), and with
a fixed batch in all (strong scaling), of which each rank has too little in the end.
Run it with `python demos/data_parallel.py`; without MPI (`pip install -e ".[mpi]"`) it draws example figures.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import lesson
import numpy as np
from ranks import launch, measure, report

from tinygrad_edu import cross_entropy, data, manual_seed, nn, optim
from tinygrad_edu.ranks import launched
from tinygrad_edu.training import DataParallel


class Costs(NamedTuple):
    """Seconds that a step takes: a rank computes for `fixed + example * batch`, and then they exchange gradients."""

    fixed: float
    example: float
    backward_fixed: float  # the parts of these in backward
    backward_example: float
    latency: float  # of a message
    byte: float  # of a byte, 1 / bandwidth
    gradients: float  # bytes that each rank must exchange

    def allreduce(self, ranks):
        """Round the ring go 2 (ranks - 1) messages: each part is added up on its way, and handed on to all."""
        return 2 * (ranks - 1) * (self.latency + self.gradients / ranks * self.byte)

    def step(self, ranks, batch):
        """With so many examples a rank."""
        return self.fixed + self.example * batch + self.allreduce(ranks)

    def hiding_batch(self, ranks, part):
        """The fewest examples a rank with which communication takes no more than this part of a step."""
        return np.maximum(1, np.ceil((self.allreduce(ranks) * (1 / part - 1) - self.fixed) / self.example))

    def overlapping_batch(self, ranks):
        """The fewest with which it takes no longer than backward, if the two can go on at the same time."""
        return np.maximum(1, np.ceil((self.allreduce(ranks) - self.backward_fixed) / self.backward_example))


# Of 784-256-128-10 on two cores that share their memory.
EXAMPLE = Costs(0.86e-3, 8e-6, 0.16e-3, 4.2e-6, latency=2.2e-6, byte=1 / 5e9, gradients=940_584)


def line(x, y):
    """The line with the least sum of squared relative errors, if its intercept and slope may not be negative.

    Returns:
        Intercept and slope; the largest relative error.
    """
    columns = np.stack([np.ones(len(x)), x], axis=1) / np.asarray(y)[:, None]
    both = np.linalg.lstsq(columns, np.ones(len(x)))[0]
    alone = np.diag(columns.sum(axis=0) / (columns**2).sum(axis=0))  # the best without slope, and without intercept
    best = min([fit for fit in (both, *alone) if min(fit) >= 0], key=lambda fit: np.sum((columns @ fit - 1) ** 2))
    return best.tolist(), np.abs(columns @ best - 1).max()


def fitted(one, two, batches):
    """Costs by the medians of what was measured on 1 rank and on 2; the largest errors of computing and Allreduce."""
    computing, error = line(batches, report.step_seconds(one))
    backward, _ = line(batches, report.step_seconds(one, "backward"))
    sizes = 4 * measure.sizes(len(one["weights"]))  # bytes
    (intercept, slope), other = line(sizes, np.median(two["allreduce"], axis=-1))
    return Costs(*computing, *backward, intercept / 2, slope, sizes[-1]), (error, other)


def build(args):
    """A network, its optimizer, and what averages its gradients over the ranks."""
    manual_seed(args.seed)
    model = nn.MLP([784, *args.hidden, 10])
    return model, optim.Adam(model.parameters()), DataParallel(model)


def step(model, optimizer, parallel, x, y):
    """A training step with this rank's share of a batch; returns the seconds of its parts."""
    clock = [time.perf_counter()]
    loss = cross_entropy(model(x), y)
    clock.append(time.perf_counter())
    optimizer.zero_grad()
    loss.backward()
    clock.append(time.perf_counter())
    parallel.average_gradients(len(y))  # to the mean over the examples of all ranks
    clock.append(time.perf_counter())
    optimizer.step()
    clock.append(time.perf_counter())
    return np.diff(clock)


def train(images, labels, args):
    """An epoch, each batch split among the ranks; returns the weights, shape (n,)."""
    model, optimizer, parallel = build(args)
    loader = data.DataLoader(images, labels, args.batch_size, shuffle=True, seed=args.seed, shard=parallel.shard)
    for x, y in loader:
        step(model, optimizer, parallel, x, y)
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = lesson.parser(__doc__)
    option, size = parser.add_argument, lesson.integer(1)
    option("--hidden", type=lesson.units, nargs="*", default=[256, 128], help="units of the hidden layers")
    option("--batch-size", type=lesson.integer(2), default=64, help="examples a rank in weak scaling")
    option("--global-batch", type=lesson.integer(1024), default=1024, help="examples of all ranks in strong scaling")
    option("--rounds", type=size, default=3, help="how often 1 rank and 2 are started, in turns")
    option("--steps", type=size, default=30, help="of each batch size in a round, of which the median counts")
    option("--latency", type=lesson.above(0), help="microseconds a message instead of what was fitted: Ethernet has 30")
    option("--bandwidth", type=lesson.above(0), help="GB/s instead of what was fitted: 10 Gbit Ethernet has 1.25")
    option("--job", type=Path, help=argparse.SUPPRESS)  # where a rank saves what it measures
    args = parser.parse_args(argv)
    if args.job:
        measure.job(args, build, step, train)
        return
    if launched()[1] > 1:
        sys.exit("error: this demo starts mpiexec itself: run it with python demos/data_parallel.py")
    costs, found = EXAMPLE, None
    if why := launch.missing():
        print(f'{why}; pip install -e ".[mpi]" brings what it takes to measure. Example figures, not measured here:\n')
    else:
        found = launch.rounds(args.rounds, [__file__, *argv])
        costs, errors = fitted(*found.values(), measure.batch_sizes(args))
        report.print_measured(found, costs, errors, args)
    costs = costs._replace(latency=args.latency * 1e-6) if args.latency else costs
    costs = costs._replace(byte=1e-9 / args.bandwidth) if args.bandwidth else costs
    report.print_scaling(costs, args)
    lesson.save(report.picture(costs, found, args), args.out / "data_parallel.png")


if __name__ == "__main__":
    lesson.run(main)
