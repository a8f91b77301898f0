"""Threads that share leaves, loaders and the library's generator: each gets what it would get alone."""

import random
import sys
import threading

import numpy as np
import pytest
from campaign.run import Run

from tinygrad_edu import Tensor, detect_anomaly, manual_seed, no_grad, optim, random as library
from tinygrad_edu.data import DataLoader
from tinygrad_edu.engine import modes


@pytest.fixture(autouse=True)
def busy():
    """Threads take turns a thousand times more often than they usually do; no mode is left."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)
    assert modes.current_mode() is modes.PLAIN


def in_threads(function, count=8):
    """What the function of 0, 1, ... returns, each in a thread of its own, begun together."""
    results, barrier = [None] * count, threading.Barrier(count)

    def work(i):
        barrier.wait()
        try:
            results[i] = function(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def recorded():
    return (Tensor(1.0) * 2).requires_grad


def watched():
    return modes.current_mode().watch is not None


@pytest.mark.parametrize("n", [100, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_shared_leaf_gets_every_part(n, create_graph):
    leaves = [Tensor(np.zeros(5)), Tensor(1.0), Tensor(np.zeros((2, 1)))]

    def work(seed):
        rng, sums = random.Random(seed), [0] * len(leaves)
        for _ in range(n):
            i, factor = rng.randrange(len(leaves)), rng.randint(1, 9)
            (leaves[i] * factor + leaves[i] - leaves[i]).sum().backward(create_graph=create_graph)
            sums[i] += factor
        return sums

    for leaf, total in zip(leaves, np.sum(in_threads(work), axis=0), strict=True):
        np.testing.assert_array_equal(getattr(leaf.grad, "data", leaf.grad), np.full(leaf.shape, float(total)))


def suspended(block):
    with block():
        while True:
            yield recorded(), watched()


@pytest.mark.parametrize("n", [60, pytest.param(2_000, marks=pytest.mark.slow)])
def test_blocks_hold_in_their_thread_and_frame_alone(n):
    """Random blocks, nested and suspended; generators go on in the thread that began them, and any thread ends them."""
    shelf = []

    def check(rng, depth, recording, watching):
        assert (recorded(), watched()) == (recording, watching)
        kind = rng.randrange(6) if depth < 4 else 5
        if kind == 0:
            with no_grad():
                check(rng, depth + 1, False, watching)
        elif kind == 1:
            with detect_anomaly():
                check(rng, depth + 1, recording, True)
        elif kind == 2:
            no_grad()(check)(rng, depth + 1, False, watching)
        elif kind == 3 and len(shelf) < 20:
            block = rng.choice([no_grad, detect_anomaly])
            steps = suspended(block)
            assert next(steps) == (recording and block is not no_grad, watching or block is detect_anomaly)
            shelf.append((threading.get_ident(), block, steps))
        elif kind in (3, 4) and shelf:
            try:
                owner, block, steps = shelf.pop()
            except IndexError:  # another thread was first
                return
            if owner == threading.get_ident() and rng.random() < 0.5:
                assert next(steps) == (recording and block is not no_grad, watching or block is detect_anomaly)
                shelf.append((owner, block, steps))
            else:
                steps.close()
        assert (recorded(), watched()) == (recording, watching)

    def work(seed):
        rng = random.Random(seed)
        for _ in range(n):
            check(rng, 0, True, False)

        while shelf:
            shelf.pop()[-1].close()
        barrier.wait()
        assert recorded() and modes.stored_mode() is modes.PLAIN

    barrier = threading.Barrier(8, timeout=20)
    in_threads(work)


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.AdamW])
def test_trainings_side_by_side_are_those_one_after_the_other(optimizer):
    """Each with a model of its own; dropout is off, as it draws from the library's generator."""

    def train(run):
        run.model[2].p = 0.0
        for _ in range(20):
            run.optimizer.zero_grad()
            run.compute().backward()
            optim.clip_grad_norm_(run.model.parameters(), 0.5)
            run.optimizer.step()
        return run.model.state_dict(), run.optimizer.state_dict()["state"]

    runs = [Run(optimizer) for _ in range(5)]
    expected, *found = train(runs[0]), *in_threads(lambda i: train(runs[i + 1]), 4)
    for model, moments in found:
        np.testing.assert_equal((model, moments), expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_that_threads_share_gives_each_all_examples(shuffle):
    loader = DataLoader(np.arange(100), np.arange(100), 7, shuffle=shuffle)

    def work(i):
        epochs = [[x for batch, labels in loader for x in batch.tolist() if (batch == labels).all()] for _ in range(20)]
        assert all(sorted(epoch) == [*range(100)] for epoch in epochs)

    in_threads(work)


def test_the_librarys_generator_is_one_for_all_threads(monkeypatch):
    for _ in range(20):
        monkeypatch.setattr(library, "library_generator", None)
        assert len({id(rng) for rng in in_threads(lambda i: library.default_generator())}) == 1


def test_manual_seed_while_others_draw():
    def work(i):
        for _ in range(200):
            if i == 0:
                manual_seed(3)
            assert 0 <= library.default_generator().random() < 1

    in_threads(work)
    assert manual_seed(3).random(5).tolist() == np.random.default_rng(3).random(5).tolist()
