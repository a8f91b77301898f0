"""What data_parallel.py prints and draws."""

import os
import textwrap

import numpy as np

from ranks import measure
from tinygrad_edu import plots

RANKS = 2 ** np.arange(11)  # 1 to 1,024
PART = 0.1  # of a step: communication that takes no more counts as hidden
BUSY = 4  # times Allreduce alone: averaging that takes longer mostly waits


def say(text):
    """Prints a paragraph."""
    print(f"{textwrap.fill(text, 100)}\n")


def network(args):
    """The numbers of units."""
    return "-".join(map(str, [784, *args.hidden, 10]))


def medium(costs):
    """What carries the messages."""
    return f"{1e6 * costs.latency:.3g} µs a message and {1e-9 / costs.byte:.3g} GB/s"


def step_seconds(found, *names):
    """The median of a step, or of these parts of it together, for each batch size."""
    chosen = [measure.PARTS.index(name) for name in names or measure.PARTS]
    return np.median(found["parts"][:, chosen].sum(axis=1), axis=-1)


def print_measured(found, costs, errors, args):
    """What 1 rank and 2 have measured, beside the costs that were fitted to it and their errors."""
    one, two = [runs["weights"] for runs in found.values()]
    say(
        f"{network(args)}, {len(one):,} weights, Adam; one thread a rank on {os.cpu_count()} cores. After "
        f"{measure.STEPS} steps on batches of {args.batch_size:,}, of which each of 2 ranks takes half, their weights "
        f"differ from those of 1 rank by at most {np.abs(two - one).max():.1g}; the largest weight is "
        f"{np.abs(one).max():.2g}."
    )
    print_steps(found, costs, errors[0], args)
    print_allreduce(found[2], costs, errors[1])


def print_steps(found, costs, error, args):
    """The times of steps on 1 rank and on 2 beside those of the model."""
    batches, (one, two) = np.array(measure.batch_sizes(args)), found.values()
    computing, averaging = step_seconds(two, "forward", "backward", "update"), step_seconds(two, "averaging")
    columns = step_seconds(one), costs.step(1, batches), step_seconds(two), costs.step(2, batches), computing, averaging
    print("ms a step        1 rank                  2 ranks")
    print("batch a rank   measured   model   off   measured   model   off  computing  averaging")
    for batch, a, b, c, d, *parts in zip(batches, *[1e3 * column for column in columns], strict=True):
        row = f"{batch:12,}  {a:9.2f} {b:7.2f} {b / a - 1:+5.0%}  {c:9.2f} {d:7.2f} {d / c - 1:+5.0%}"
        print(row, " {:9.2f}  {:9.2f}".format(*parts))
    longer, alone = np.median(computing / step_seconds(one)) - 1, np.median(two["allreduce"][-1])
    times = np.median(averaging) / alone
    say(
        f"Fitted to 1 rank: {1e3 * costs.fixed:.2f} ms + {1e6 * costs.example:.1f} µs an example, off by up to "
        f"{error:.0%}; of it backward {1e3 * costs.backward_fixed:.2f} ms + {1e6 * costs.backward_example:.1f} µs. "
        f"What the model leaves out on 2 ranks: computing takes {longer:+.0%} beside another rank, and averaging also "
        f"copies gradients and waits for the slower rank, which takes {times:.1f} times as long as Allreduce alone."
    )
    if times > BUSY:
        say("So much waiting comes of too few cores for the ranks, or of other programs that want them.")


def print_allreduce(two, costs, error):
    """Allreduce on 2 ranks beside the model."""
    print("bytes to all-reduce  measured µs  model µs   off")
    for size, seconds in zip(4 * measure.sizes(len(two["weights"])), np.median(two["allreduce"], axis=-1), strict=True):
        model = costs._replace(gradients=size).allreduce(2)
        print(f"{size:19,}  {1e6 * seconds:11.0f}  {1e6 * model:8.0f} {model / seconds - 1:+5.0%}")
    say(f"Fitted: {medium(costs)}, off by up to {error:.0%}.")


def scaling(costs, args):
    """Seconds a step on each of RANKS: with the same batch a rank, and with the same batch in all."""
    return costs.step(RANKS, args.batch_size), costs.step(RANKS, np.ceil(args.global_batch / RANKS))


def print_scaling(costs, args):
    """The model from 1 rank to 1,024, as a table and in words."""
    weak, strong = scaling(costs, args)
    work, faster = RANKS * weak[0] / weak, strong[0] / strong
    hiding, overlapping = costs.hiding_batch(RANKS, PART), costs.overlapping_batch(RANKS)
    say(f"A step of {1e3 * costs.fixed:.2f} ms + {1e6 * costs.example:.1f} µs an example, with {medium(costs)}:")
    titles = f"{args.batch_size:,} a rank", f"{args.global_batch:,} in all"
    print("       weak scaling,               strong scaling,             batch a rank that hides the all-reduce")
    print(f"       {titles[0]:27} {titles[1]:27} within  beside")
    print(f"ranks  ms a step  speed-up         ms a step  speed-up       {PART:.0%} of a step  backward")
    columns = 1e3 * weak, work, 1e3 * strong, faster, hiding, overlapping
    for p, a, b, c, d, *batches in zip(RANKS, *columns, strict=True):
        row = f"{p:5,}  {a:9.2f}  {b:8.1f} {b / p:5.0%}  {c:9.2f}  {d:8.1f} {d / p:5.0%}"
        print(row, "  {:9,.0f}  {:15,.0f}".format(*batches))
    last, best = RANKS[-1], np.argmax(faster)
    free = strong[0] / costs.step(1, np.ceil(args.global_batch / last))
    print()
    say(f"Weak scaling: {last:,} ranks do {work[-1]:,.0f} times the work of one in the same time.")
    more = "With more, the ring's messages cost more than smaller shares save. " if best < len(RANKS) - 1 else ""
    say(
        f"Strong scaling: the best number of ranks is {RANKS[best]:,}, with {faster[best]:.1f} times the speed of one. "
        f"{more}Were communication free, {last:,} ranks would reach {free:.0f} times, because each takes "
        f"{1e3 * costs.fixed:.2f} ms a step, whatever its share (Amdahl 1967)."
    )
    say(
        f"On {last:,} ranks communication is at most {PART:.0%} of a step from {hiding[-1]:,.0f} examples a rank on, "
        f"and could hide beside backward from {overlapping[-1]:,.0f} on: batches of {last * hiding[-1]:,.0f} and "
        f"{last * overlapping[-1]:,.0f} in all. Whether these learn as well is another question: see batch_size.py. "
        "MPI libraries also know an all-reduce of 2 log2(p) messages (Thakur, Rabenseifner and Gropp 2005), so on many "
        "ranks latency may cost less than in this ring."
    )


def picture(costs, found, args):
    """Both kinds of scaling, and the batch that hides communication."""
    weak, strong = scaling(costs, args)
    each, together = f"weak: {args.batch_size:,} a rank", f"strong: {args.global_batch:,} in all"
    speed_ups = {each: (RANKS, RANKS * weak[0] / weak), together: (RANKS, strong[0] / strong), "ideal": (RANKS, RANKS)}
    title, measured = f"{medium(costs)}: example figures, not measured here", {}
    if found:
        title = f"{network(args)}, {medium(costs)}"
        at, (one, two) = measure.batch_sizes(args).index, [step_seconds(runs) for runs in found.values()]
        measured["weak, measured"] = [1, 2], [1, 2 * one[at(args.batch_size)] / two[at(args.batch_size)]]
        measured["strong, measured"] = [1, 2], [1, one[at(args.global_batch)] / two[at(args.global_batch // 2)]]
    batches = {
        f"within {PART:.0%} of a step": (RANKS[1:], costs.hiding_batch(RANKS[1:], PART)),
        "beside backward": (RANKS[1:], costs.overlapping_batch(RANKS[1:])),
    }
    panels = {"speed-up": speed_ups | measured, "batch a rank that hides the all-reduce": batches}
    axes = {"xlabel": "ranks", "ylabel": ["times one rank", "examples a rank"], "xscale": "log", "yscale": "log"}
    figure = plots.curves(panels, **axes, markers=[*measured], title=title)
    for panel in figure.axes:
        panel.set_xticks(RANKS[::2], [f"{p:,}" for p in RANKS[::2]])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter("{x:,g}")
    return figure
