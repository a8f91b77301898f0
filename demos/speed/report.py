"""From rows to what is read: tables, a short one for the README, and the project's own goals."""

import json
import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from speed import chain, drawing, epochs, footprint, models, ranks, scalars, single_ops, sizes, steps
from speed.steps import NETWORKS, label
from speed.timing import EXPERT, FUSED, JAX, MICROGRAD, OURS, TORCH, thread_count

PEERS = {"torch": "PyTorch", "jax": "JAX", "micrograd": "micrograd"}
NOTES = {  # the modules that say what a section's numbers are
    "steps": [steps],
    "epoch": [epochs],
    "models": [models],
    "scalars": [scalars],
    "ops": [single_ops],
    "sizes": [chain, sizes],
    "memory": [footprint],
    "drawing": [drawing],
    "ranks": [ranks],
}
NUMBERS = """\
Every number is the median over blocks in which the contenders take turns, in one process where nothing else is said;
the quartiles follow in brackets. Garbage is collected before a block and never left to the next one. A ratio
is one of such medians; below 1, tinygrad_edu is faster, or smaller. S is the network 784-128-64-10, L is
784-256-128-10, with relu and cross-entropy. A step is forward, loss, backward and optimizer. All is float32 but for
scalars and chains, which are float64 (micrograd's are Python's floats)."""


@dataclass(frozen=True)
class Results:
    """All rows of a run, and where they come from."""

    rows: list
    setup: dict
    skipped: list

    def find(self, case, contender, threads=1, size=None, job=None):
        """The row of this case whose label begins so, or None."""
        for r in self.rows:
            same = r["contender"] == contender and r["threads"] == threads and job in (None, r["job"])
            if same and r["case"].startswith(case) and size in (None, r["size"]):
                return r
        return None

    def ratio(self, case, peer, threads=1):
        """Ours over the peer's, both from one process; None if one was not measured."""
        theirs = self.find(case, peer, threads)
        ours = theirs and self.find(case, OURS, threads, job=theirs["job"])
        return ours["median"] / theirs["median"] if ours else None

    def ratios(self, cases, peer):
        """The ratios of several cases, if all were measured."""
        found = [self.ratio(case, peer) for case in cases]
        return None if None in found else found

    def as_json(self):
        goals = [{"goal": text, "at most": limit, "measured": value} for text, limit, value in goal_values(self)]
        found = {
            "what a number is": NUMBERS,
            "setup": self.setup,
            "skipped": self.skipped,
            "goals": goals,
            "rows": self.rows,
        }
        return json.dumps(found, indent=1)


def setup(quick):
    """The machine and the versions, as text by name."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {
        "python": platform.python_version(),
        "numpy": f"{np.__version__} ({blas.get('name')} {blas.get('version')})",
    }
    for package in ("tinygrad_edu", *PEERS):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    machine = {"processor": processor(), "cores": str(os.cpu_count()), "system": f"{platform.system()}"}
    return {**machine, **found, "run": "quick: few repetitions" if quick else "full"}


def processor():
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def goal_values(results):
    """The goals as (text, limit, measured value or None)."""
    goals = []

    def step(network, batch, optimizer, peer, limit, threads=1):
        case = label(network, batch, optimizer)
        note = "" if threads == 1 else f", {threads} threads"
        goals.append((f"step {case}{note} / {peer}", limit, results.ratio(case, peer, threads)))

    def over(text, limit, function, values):
        goals.append((text, limit, None if values is None else float(function(values))))

    def quotient(text, limit, above, below):
        goals.append((text, limit, above["median"] / below["median"] if above and below else None))

    for peer, small, large in ((TORCH, 0.62, 0.72), (FUSED, 0.85, 0.95), (JAX, 0.92, 0.98), (EXPERT, 1.12, 1.12)):
        step("S", 64, "Adam", peer, small)
        step("L", 64, "Adam", peer, large)
    step("S", 64, "SGD", TORCH, 0.70)
    step("S", 512, "Adam", TORCH, 0.85)
    step("L", 512, "Adam", TORCH, 0.85)
    for network, limit in ((models.SMALL_CNN, 1.05), (models.LESSON_CNN, 1.05), (models.GPT, 1.30)):
        goals.append((f"step {network} / {TORCH}", limit, results.ratio(network, TORCH)))
    paid, single = list(scalars.EXPRESSIONS), [f"single runs, {case}" for case in scalars.EXPRESSIONS]
    for how, cases, limit in (("paying for garbage", paid, 0.40), ("medians of single runs", single, 0.80)):
        text = f"scalar expression of 500 ops / micrograd, the worst of three, {how}"
        over(text, limit, max, results.ratios(cases, MICROGRAD))
    for shape, limit in (((4,), 0.35), ((64, 64), 0.45)):
        cases = [single_ops.label(name, shape) for name in single_ops.OPS]
        text = f"one op with backward on shape {shape} / PyTorch, geometric mean of {len(cases)}"
        over(text, limit, lambda x: math.exp(np.log(x).mean()), results.ratios(cases, TORCH))
    for what, case in (("backward", chain.BACKWARD), ("forward", chain.FORWARD)):
        long, short = [results.find(case, OURS, size=n) for n in (1_000_000, 1_000)]
        quotient(f"{what} a node, chain of 1e6 / 1e3", 1.2 if what == "backward" else 1.5, long, short)
    filled = [r["median"] for r in results.rows if r["case"] == chain.FILLED]
    over("bytes a node with its gradient, the most of all lengths", 260, max, filled or None)
    imports = (("tinygrad_edu", OURS), ("numpy", "NumPy"))
    library, numpy = [results.find(f"{footprint.IMPORT} {name}", contender) for name, contender in imports]
    quotient("import tinygrad_edu / import numpy", 1.2, library, numpy)
    picture = results.find(drawing.PICTURE, OURS)
    goals.append((f"{drawing.PICTURE}, seconds", 0.6, picture and picture["median"]))
    goals.append(("moons / micrograd", 0.30, results.ratio(scalars.MOONS, MICROGRAD)))
    for loading, limit in ((TORCH, 0.50), (epochs.LOADER, 0.45)):
        goals.append((f"epoch of S, Adam / {loading}", limit, results.ratio("epoch of", loading)))
    growth = results.find(epochs.GROWTH, OURS)
    goals.append(("epoch 4 / epoch 1 of ours", 1.15, growth and growth["median"]))
    shared, alone = [results.find(ranks.CASE, contender) for contender in (ranks.SHARED, ranks.ALONE)]
    quotient(f"{ranks.CASE}: 2 ranks / 1 rank", 1 / 1.6, shared, alone)
    step("S", 64, "Adam", TORCH, 0.75, threads=2)
    step("L", 64, "Adam", TORCH, 0.90, threads=2)
    return goals


SHORT = [  # what the README shows: text, case, peers
    ("training step, 784-128-64-10, batch 64, Adam", label("S", 64, "Adam"), [TORCH, FUSED, JAX, EXPERT]),
    ("the same with SGD", label("S", 64, "SGD"), [TORCH]),
    ("the same with Adam, batch 512", label("S", 512, "Adam"), [TORCH]),
    ("training step, 784-256-128-10, batch 64, Adam", label("L", 64, "Adam"), [TORCH, FUSED, JAX]),
    ("training step, CNN of two 3x3 layers (16 and 32 channels), batch 64", models.SMALL_CNN, [TORCH, JAX]),
    ("training step, the GPT of demos/gpt.py", models.GPT, [TORCH, JAX]),
    (None, "epoch of", [epochs.LOADER]),  # its case says all
    ("random scalar expression, 500 ops", next(c for c in scalars.EXPRESSIONS if "random" in c), [MICROGRAD]),
    ("micrograd's moons demo, one step", scalars.MOONS, [MICROGRAD]),
]


def short_table(results):
    """The table for the README."""
    lines = ["| one thread | tinygrad_edu | beside | | ratio |", "|---|---|---|---|---|"]
    for text, case, peers in SHORT:
        for peer in peers:
            theirs, ratio = results.find(case, peer), results.ratio(case, peer)
            if ratio is not None:
                ours = results.find(case, OURS, job=theirs["job"])
                lines.append(
                    f"| {text or ours['case']} | {quantity(ours)} | {peer} | {quantity(theirs)} | {ratio:.2f} |"
                )
    return "\n".join(lines) if len(lines) > 2 else "Nothing of it was measured."


def goal_table(results):
    """The goals, what was measured, and whether it is enough."""
    lines = ["| goal | at most | measured | |", "|---|---|---|---|"]
    for text, limit, value in goal_values(results):
        verdict = "" if value is None else "met" if value <= limit else f"missed by {value / limit - 1:.1%}"
        shown = "not measured" if value is None else f"{value:.0f}" if limit > 100 else f"{value:.2f}"
        lines.append(f"| {text} | {limit:{'.0f' if limit > 100 else '.2f'}} | {shown} | {verdict} |")
    return "\n".join(lines)


def section_tables(results):
    """A table for each section and number of threads: cases downwards, contenders across."""
    parts = []
    for section, threads in dict.fromkeys((r["section"], r["threads"]) for r in results.rows):
        rows = [r for r in results.rows if (r["section"], r["threads"]) == (section, threads)]
        names = list(dict.fromkeys(r["contender"] for r in rows))
        lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        for case, size, job in dict.fromkeys((r["case"], r["size"], r["job"]) for r in rows):
            cells = {r["contender"]: r for r in rows if (r["case"], r["size"], r["job"]) == (case, size, job)}
            shown = [f"{quantity(cells[n])} {spread(cells[n])}".strip() if n in cells else "" for n in names]
            lines.append(f"| {case}{'' if size is None else f' ({size:,})'} | {' | '.join(shown)} |")
        title = f"## {section}, {thread_count(threads)}"
        parts.append("\n".join([title, "", *(module.__doc__ for module in NOTES[section]), *lines]))
    return "\n\n".join(parts)


def markdown(results, command):
    """The whole report."""
    machine = "\n".join(f"- {name}: {value}" for name, value in results.setup.items())
    skipped = "".join(f"- skipped: {text}\n" for text in results.skipped)
    return f"""# Benchmark

`{command}`

{machine}
{skipped}
{NUMBERS}

## In short

{short_table(results)}

## Goals

{goal_table(results)}

{section_tables(results)}
"""


def quantity(r):
    """The median with a unit that suits it: 0.00051 s is 510 µs."""
    return with_unit(r["median"], r["unit"])


def spread(r):
    """The quartiles in brackets, where there are any."""
    if r["samples"] == 1:
        return ""
    return f"[{with_unit(r['low'], r['unit'])}, {with_unit(r['high'], r['unit'])}]"


def with_unit(value, unit, digits=3):
    """Three digits and a unit."""
    scales = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")], "B": [(1e6, "MB"), (1, "B")], "": [(1, "")]}
    scale, name = next(((s, n) for s, n in scales[unit] if value >= s), scales[unit][-1])
    number = value / scale
    decimals = max(0, digits - 1 - math.floor(math.log10(number))) if number > 0 else 0
    return f"{number:.{decimals}f} {name}".strip()


def networks():
    """S and L spelt out."""
    return {name: "-".join(map(str, sizes)) for name, sizes in NETWORKS.items()}
