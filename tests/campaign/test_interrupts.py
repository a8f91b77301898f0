"""Ctrl-C at every line of a training step: modes and locks are as before, what changed is found, and it can go on."""

import dis
import linecache
import random
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from campaign.run import Run, X, Y

import tinygrad_edu
from tinygrad_edu import Tensor, detect_anomaly, manual_seed, nn, no_grad, optim
from tinygrad_edu.engine import modes
from tinygrad_edu.training import Checkpoint, fit

pytest.importorskip("safetensors")
PACKAGE = str(Path(tinygrad_edu.__file__).parent)


def backward(run, path):
    run.compute().backward()


def backward_watched(run, path):
    with detect_anomaly():
        run.compute().backward()


def clip(run, path):
    optim.clip_grad_norm_(run.model.parameters(), 0.01)


def step(run, path):
    run.optimizer.step()


def step_by_hand(run, path):
    with no_grad():
        for p in run.model.parameters():
            p -= 0.1 * p.grad


def step_into_data(run, path):
    """NumPy writes before Python calls the setter, so that nothing can date a write that Ctrl-C parts from it."""
    for p in run.model.parameters():
        p.data -= 0.1 * p.grad


def assign(run, path):
    for p in run.model.parameters():
        p.assign(p.data * 2)


def load_state(run, path):
    run.model.load_state_dict({name: x + 1 for name, x in run.model.state_dict().items()})


def load_moments(run, path):
    state = run.optimizer.state_dict()
    state["param_groups"][0]["lr"] = 0.5
    run.optimizer.load_state_dict(state)


def schedule(run, path):
    run.scheduler.step(0.25)


def stop_early(run, path):
    run.stopping.step(0.125, run.model)
    run.stopping.restore(run.model)


def switch_modes(run, path):
    run.model.eval()
    run.compute()
    run.model.train()


def save(run, path):
    Checkpoint(path).save(**run.objects, epoch=3)


def load(run, path):
    Checkpoint(path.with_name("other")).load(**run.objects)


def fit_an_epoch(run, path):
    options = {"loss": nn.MSELoss(), "scheduler": run.scheduler, "progress": False}
    fit(run.model, [(X, Y)], optimizer=run.optimizer, epochs=1, **options)


ACTIONS = [
    *(backward, backward_watched, clip, step, step_by_hand, step_into_data, assign, load_state, load_moments, schedule),
    *(stop_early, switch_modes, save, load, fit_an_epoch),
]
CASES = [(action, optimizer) for action in ACTIONS for optimizer in (optim.Adam, optim.AdamW, optim.SGD)]
CASES = [(action, optimizer) for action, optimizer in CASES if action is step or optimizer is optim.Adam]


def lines_run(action, run, path, interrupt_at=None):
    """Runs an action, interrupted before one of its lines, its own or the library's; how many were run.

    Left out are lines before which Python takes no signal: those that do nothing, such as `try:`, and that of a with
    statement when Python comes back to it for __exit__.
    """
    count, last = 0, {}

    def trace(frame, event, arg):
        nonlocal count
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) and frame.f_code is not action.__code__:
            return None
        if event == "line":
            came_back = last.get(frame, 0) > frame.f_lineno
            last[frame] = frame.f_lineno
            idle = frame.f_code.co_code[frame.f_lasti] == dis.opmap["NOP"]
            if not idle and not (came_back and linecache.getline(name, frame.f_lineno).lstrip().startswith("with ")):
                count += 1
                if count == interrupt_at:
                    raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action(run, path)
    except KeyboardInterrupt:
        assert count == interrupt_at
    finally:
        sys.settrace(before)
    return count


def gradient():
    """That of another leaf; a lock that is still held would keep it waiting."""
    x = Tensor([1.0, 2.0])
    (x * x).sum().backward()
    (x * x).sum().backward()
    return x.grad.tolist()


EXPECTED = [gradient()]


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    thread.join(5)
    return found


def faults_after(uses):
    """What is not as it must be after an interrupt."""
    if modes.current_mode() is not modes.PLAIN or not (Tensor(1.0) * 2).requires_grad:
        yield "a mode is left"
    for i, (p, values, use) in enumerate(uses):
        if not np.array_equal(p.data, values):
            try:
                use.backward()
            except RuntimeError:
                continue
            yield f"parameter {i} changed, and backward of an earlier use goes on"


@pytest.mark.parametrize("most", [30, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("action, optimizer", CASES, ids=lambda x: x.__name__)
def test_ctrl_c(tmp_path, monkeypatch, action, optimizer, most):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    run, path, faults = Run(optimizer), tmp_path / "run", []
    run.compute().backward()
    Checkpoint(path).save(**run.objects, epoch=2)
    other = Run(optimizer)
    other.optimizer.lr = 0.125
    Checkpoint(tmp_path / "other").save(**other.objects, epoch=5)
    manual_seed(1)
    kept, before, old_file = run.keep(), run.outcome(), path.read_bytes()
    lines = lines_run(action, run, path)
    after, new_file = run.outcome(), path.read_bytes()
    for at in sorted(random.Random(0).sample(range(1, lines + 1), min(lines, most))):
        run.restore(kept)
        path.write_bytes(old_file)
        uses = [(p, np.array(p.data), (p * p).sum()) for p in run.model.parameters()]
        lines_run(action, run, path, interrupt_at=at)
        assert in_a_thread(gradient) == EXPECTED, f"line {at}: a lock is held"
        found = list(faults_after(() if action is step_into_data else uses))
        if action is load and run.outcome() not in (before, after):
            found.append("half loaded")
        if path.read_bytes() not in (old_file, new_file) or len(list(tmp_path.iterdir())) > 2:
            found.append("half saved")
        run.restore(kept)
        if run.outcome() != before:
            found.append("not restored")
        action(run, path)
        if run.outcome() != after:
            found.append("another result afterwards")
        faults += [f"line {at}: {what}" for what in found]
    print(f"{action.__name__}, {optimizer.__name__}: interrupted at {min(lines, most)} of {lines} lines")
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:20])
