"""Measures this library against PyTorch, JAX, NumPy written by hand, the bare matrix products, and micrograd.

It teaches how to compare programs: side by side in one run, in turns, with medians and their spread, and everything
stated that a number depends on. What is measured stands in demos/speed/, one question a file; `peers.py` there holds
the same training step written in seven ways, and is worth reading.
Run it with `python demos/benchmark.py` on a machine that does nothing else (about 15 minutes); `--quick` takes a minute
and is for trying out, `--only` measures a part. It writes benchmark.json, benchmark.md and charts into demos/out/.
Peers that are not installed are named and left out.
"""

import argparse
import io
import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from functools import partial

import lesson
from speed import chain, drawing, epochs, footprint, models, ranks, report, scalars, single_ops, sizes, steps
from speed.timing import installed, thread_count

from tinygrad_edu.files import visible, write_atomically

SECTIONS = {  # each a list of jobs; a job is (name, cases, measure), and has a process of its own
    "steps": [("steps", steps.cases, steps.measure)],
    "epoch": [("epoch", epochs.cases, epochs.measure)],
    "models": [("models", models.cases, models.measure)],
    "scalars": [
        ("scalars-micrograd", scalars.cases, partial(scalars.measure, peer="micrograd")),
        ("scalars-single", scalars.single_cases, scalars.measure_single),
        ("scalars-torch", scalars.cases, partial(scalars.measure, peer="torch")),
    ],
    "ops": [("ops", single_ops.cases, single_ops.measure)],
    "sizes": [
        ("chain", chain.cases, chain.measure),
        ("chain-torch", chain.cases, partial(chain.measure, peer="torch")),
        ("sizes", sizes.cases, sizes.measure),
    ],
    "memory": [("memory", footprint.cases, footprint.measure)],
    "drawing": [("drawing", drawing.cases, drawing.measure)],
    "ranks": [("ranks", ranks.cases, ranks.measure)],
}
THREADED = ("steps", "epoch")  # the others are measured on one thread
# Read when NumPy is imported, not later; NPROC is JAX's.
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")


def jobs(only, threads, quick):
    """What there is to do: pairs of a job and a number of threads."""
    pairs = [(job, n) for n in threads for name in only if n == 1 or name in THREADED for job in SECTIONS[name]]
    missing = () if installed("torch") else ("scalars-torch", "chain-torch")
    return [(job, n) for job, n in pairs if job[0] not in missing and job[1](quick, n)]


def work(name, threads, quick):
    """One job, in this process; yields the rows of each case."""
    section, (_, cases, measure) = next((s, job) for s, some in SECTIONS.items() for job in some if job[0] == name)
    for case in cases(quick, threads):
        yield [{"section": section, "job": name, "threads": threads, **row} for row in measure(case, threads, quick)]


def in_a_process(name, threads, quick):
    """The same in a new process, where the number of threads is set before NumPy is imported."""
    environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads))}
    command = [sys.executable, __file__, "--job", name, "--threads", str(threads), *(["--quick"] if quick else [])]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                yield json.loads(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        sys.exit(f"error: measuring {name} ended with exit code {process.returncode}; what it said stands above")


def measure_all(todo, quick):
    """All rows; a progress bar counts the cases."""
    from tqdm import tqdm  # once main has seen that it is there

    rows = []
    with tqdm(total=sum(len(cases(quick, n)) for (_, cases, _), n in todo), unit="case", disable=None) as bar:
        for (name, _, _), threads in todo:
            bar.set_postfix_str(f"{name}, {thread_count(threads)}")
            for found in in_a_process(name, threads, quick):
                rows += found
                bar.update()
    return rows


def save(results, command, out):
    """Writes JSON, Markdown and charts; returns the paths."""
    from speed import charts

    paths = [out / "benchmark.json", out / "benchmark.md"]
    write_atomically(paths[0], f"{results.as_json()}\n".encode())
    write_atomically(paths[1], report.markdown(results, command).encode())
    threads = sorted({row["threads"] for row in results.rows})
    figures = {f"steps_{thread_count(n).replace(' ', '_')}.png": charts.step_bars(results, n) for n in threads}
    for name, figure in {**figures, "growth.png": charts.growth_curves(results)}.items():
        if figure is not None:
            figure.savefig(file := io.BytesIO(), dpi=150)
            write_atomically(out / name, file.getvalue())
            paths.append(out / name)
    return paths


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = parse(argv)
    if args.job:
        for rows in work(args.job, args.threads[0], args.quick):
            print(json.dumps(rows), flush=True)
        return
    lesson.check_installed(("matplotlib", "tqdm"))
    skipped = [f"{name} is not installed" for package, name in report.PEERS.items() if not installed(package)]
    if "ranks" in args.only and (reason := ranks.missing()):
        skipped.append(reason)
    for text in skipped:
        print(f"skipped: {text}")
    rows = measure_all(jobs(args.only, args.threads, args.quick), args.quick)
    results = report.Results(rows, report.setup(args.quick), skipped)
    print(report.short_table(results), report.goal_table(results), sep="\n\n", end="\n\n")
    for path in save(results, shlex.join(["python", "demos/benchmark.py", *argv]), args.out):
        print(visible(path))


def parse(argv):
    """Reads the options."""
    parser = lesson.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--quick", action="store_true", help="fewer repetitions, cases and sizes: about a minute, rough numbers")
    option("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS), help="measure these alone")
    help = "run steps and epochs with so many threads, once for each number; the rest needs 1"
    option("--threads", type=lesson.integer(1, most=256), nargs="+", default=[1, 2][: os.cpu_count()], help=help)
    option("--out", type=lesson.folder, default=str(lesson.OUT), help="folder for the results")
    names = [job[0] for some in SECTIONS.values() for job in some]
    option("--job", choices=names, help=argparse.SUPPRESS)  # what a process of its own is to do
    return parser.parse_args(argv)


if __name__ == "__main__":
    if "--job" in sys.argv:  # the process that started this one says what Ctrl-C means
        with suppress(KeyboardInterrupt):
            main()
    else:
        lesson.run(main)
