"""The pictures: bars for training steps, curves on logarithmic axes for growth.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; hatches and markers tell the same
without colour.
"""

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from speed import chain, sizes
from speed.report import networks
from speed.steps import label
from speed.timing import EXPERT, FLOOR, FUSED, JAX, OURS, REPLAY, STUDENT, TORCH, thread_count

STYLES = {  # colour, hatch, marker
    OURS: ("#0072B2", "", "o"),
    REPLAY: ("#000000", "oo", "*"),
    TORCH: ("#D55E00", "//", "s"),
    FUSED: ("#E69F00", "..", "^"),
    JAX: ("#CC79A7", "++", "P"),
    STUDENT: ("#009E73", "\\\\", "D"),
    EXPERT: ("#56B4E9", "xx", "v"),
    FLOOR: ("#999999", "", "x"),
}
BATCHES = (32, 64, 128, 512)


def step_bars(results, threads=1, optimizer="Adam"):
    """A group of bars for each batch size, over the time of PyTorch, or of ours where that was not measured.

    Returns:
        A figure, or None if there is nothing to draw.
    """
    wanted = {net: [n for n in BATCHES if results.find(label(net, n, optimizer), OURS, threads)] for net in networks()}
    wanted = {net: batches for net, batches in wanted.items() if batches}
    if not wanted:
        return None
    has_torch = any(r["contender"] == TORCH and r["section"] == "steps" for r in results.rows)
    reference = TORCH if has_torch else OURS
    figure = Figure(figsize=(11, 4.6), facecolor="white", layout="constrained")
    widths = [len(batches) + 0.4 for batches in wanted.values()]
    panels = figure.subplots(1, len(wanted), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (net, batches) in zip(panels, wanted.items(), strict=True):
        for place, (name, (color, hatch, _)) in enumerate(STYLES.items()):
            found = [results.find(label(net, n, optimizer), name, threads) for n in batches]
            bases = [results.find(label(net, n, optimizer), reference, threads)["median"] for n in batches]
            bars = [(i, r, base) for i, (r, base) in enumerate(zip(found, bases, strict=True)) if r]
            heights = [r["median"] / base for _, r, base in bars]
            error = [
                [(r["median"] - r["low"]) / b for _, r, b in bars],
                [(r["high"] - r["median"]) / b for _, r, b in bars],
            ]
            x = [i + (place - 3.5) * 0.11 for i, _, _ in bars]
            look = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.5, "label": name}
            axes.bar(x, heights, 0.1, yerr=error, error_kw={"elinewidth": 0.8, "ecolor": "#333333"}, **look)
        axes.axhline(1, color="#333333", linewidth=0.8, linestyle=":")
        axes.set_xticks(range(len(batches)), [str(n) for n in batches])
        axes.set_xlabel("batch")
        axes.set_title(networks()[net])
        decorate(axes, "y")
    panels[0].set_ylabel(f"time of a step, {reference} = 1")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // 2), frameon=False, fontsize=9)
    figure.suptitle(f"One training step with {optimizer}, {thread_count(threads)}")
    return figure


def growth_curves(results):
    """Four panels on logarithmic axes: time and bytes of a chain, width, batch.

    Returns:
        A figure, or None if there is nothing to draw.
    """
    panels = {
        ("chain of ops: time a node", "length", "s"): [
            (chain.FORWARD, OURS, "forward", "-"),
            (chain.BACKWARD, OURS, "backward", "--"),
            (chain.FORWARD, TORCH, "forward", "-"),
            (chain.BACKWARD, TORCH, "backward", "--"),
        ],
        ("chain of ops: memory a node", "length", "B"): [
            (chain.GRAPH, OURS, "graph", "-"),
            (chain.FILLED, OURS, "graph and gradients", "--"),
        ],
        ("step of 784-w-w-10, batch 64", "width w", "s"): [(sizes.WIDTH, name, "", "-") for name in STYLES],
        ("step of 784-128-64-10", "batch", "s"): [(sizes.BATCH, name, "", "-") for name in STYLES],
    }
    if not any(curve(results, *line[:2])[0] for lines in panels.values() for line in lines):
        return None
    figure = Figure(figsize=(11, 8), facecolor="white", layout="constrained")
    for axes, ((title, x_label, unit), lines) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for case, name, part, style in lines:
            x, y = curve(results, case, name)
            if x:
                color, _, marker = STYLES[name]
                text = f"{name}, {part}" if part else name
                axes.plot(x, y, style, color=color, marker=marker, markersize=5, linewidth=1.8, label=text)
        axes.set_xscale("log", base=10 if x_label == "length" else 2)
        if unit == "s":
            axes.set_yscale("log")
            axes.margins(y=0.5 if x_label == "length" else 0.05)  # room for the legend
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(EngFormatter("s"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0)
            axes.set_ylabel("bytes")
        if x_label != "length":
            axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_title(title)
        axes.set_xlabel(x_label)
        decorate(axes, "both")
        if axes.lines:
            axes.legend(frameon=False, fontsize=9, handlelength=3.5)
    figure.suptitle("How cost grows, 1 thread")
    return figure


def curve(results, case, contender):
    """Sizes and medians."""
    rows = [r for r in results.rows if r["case"] == case and r["contender"] == contender]
    return [r["size"] for r in rows], [r["median"] for r in rows]


def decorate(axes, grid):
    axes.grid(axis=grid, color="#DDDDDD")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
