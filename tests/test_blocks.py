"""Blocks hold while their code runs: suspended, decorated, in another order, in tasks and threads, and after Ctrl-C."""

import asyncio
import contextlib
import sys
import threading

import numpy as np
import pytest

from tinygrad_edu import Tensor, blocks, detect_anomaly, no_grad
from tinygrad_edu.engine import modes, setting


def recorded():
    """Whether an op that runs now is recorded."""
    return (Tensor(1.0) * 2).requires_grad


def in_a_block():
    with no_grad():
        yield recorded()
        yield recorded()
    yield recorded()


@no_grad()
def decorated():
    sent = yield recorded()
    yield recorded(), sent
    return 7


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert recorded() and modes.current_mode() is modes.PLAIN


def test_a_suspended_block_is_not_its_callers():
    steps = in_a_block()
    for expected in (False, False, True):
        assert next(steps) == expected and recorded()


def test_a_block_that_was_entered_inside_another_ones_holds_on_its_own():
    with no_grad():
        steps = in_a_block()
        next(steps)
    assert next(steps) is False and next(steps) is True


def test_blocks_that_are_left_in_another_order():
    first, second = in_a_block(), in_a_block()
    next(first), next(second)
    first.close()
    assert recorded() and next(second) is False and recorded()
    second.close()


def test_a_block_that_another_thread_leaves():
    steps = in_a_block()
    next(steps)
    thread = threading.Thread(target=steps.close)
    thread.start()
    thread.join()


def test_a_generator_that_is_never_finished():
    next(in_a_block())
    steps = in_a_block()
    next(steps)
    del steps


def test_a_decorated_generator():
    steps = decorated()
    assert next(steps) is False and recorded()
    assert steps.send(5) == (False, 5) and recorded()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == 7


def test_errors_go_into_a_decorated_generator_and_out_of_it():
    @no_grad()
    def steps():
        try:
            yield 1
        except ValueError as error:
            yield str(error), recorded()
        raise KeyError("out")

    running = steps()
    next(running)
    assert running.throw(ValueError("in")) == ("in", False) and recorded()
    with pytest.raises(KeyError, match="out"):
        next(running)
    closed = []

    @no_grad()
    def cleaning():
        try:
            yield
        finally:
            closed.append(recorded())

    running = cleaning()
    next(running)
    running.close()
    assert closed == [False]


def test_coroutines_and_tasks():
    @no_grad()
    async def alone():
        before = recorded()
        await asyncio.sleep(0)
        return before, recorded()

    @no_grad()
    async def several():
        yield recorded()
        await asyncio.sleep(0)
        yield recorded()

    async def plain():
        return recorded()

    async def main():
        task = asyncio.create_task(alone())
        await asyncio.sleep(0)
        assert recorded() and await task == (False, False)
        assert [(x, recorded()) async for x in several()] == [(False, True)] * 2
        with no_grad():
            task = asyncio.create_task(plain())
            await asyncio.sleep(0)
            assert not recorded() and await task

    asyncio.run(main())


@contextlib.contextmanager
def around():
    with no_grad():
        yield


class Around:
    def __enter__(self):
        self.block = no_grad()
        self.block.__enter__()

    def __exit__(self, *error):
        self.block.__exit__(*error)


@contextlib.contextmanager
def in_a_stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_grad())
        yield


@pytest.mark.parametrize("make", [no_grad, around, Around, in_a_stack])
def test_a_block_inside_another_context_manager_is_that_of_its_with_statement(make):
    with make():
        assert not recorded()
        with setting(recording=True):
            assert recorded()
        assert not recorded()
    assert recorded()


def test_one_object_entered_twice_and_a_decorated_function_that_calls_itself():
    block = no_grad()
    with block:
        with block:
            assert not recorded()
        assert not recorded()

    @no_grad()
    def down(n):
        return recorded() if n == 0 else down(n - 1)

    assert down(3) is False


def handed_on(function):
    """What other decorators do: a plain function that returns a generator or a coroutine."""
    return lambda *args: function(*args)


@pytest.mark.parametrize("block", [no_grad, detect_anomaly])
def test_a_function_that_hands_on_a_generator_or_a_coroutine(block):
    seen = []

    def note():
        seen.append(modes.current_mode() is modes.PLAIN)

    @block()
    @handed_on
    def steps():
        note()
        yield
        note()

    for _ in steps():
        assert modes.current_mode() is modes.PLAIN

    @block()
    @handed_on
    async def alone():
        await asyncio.sleep(0)
        note()

    class Stepping:
        def __call__(self):
            note()
            yield

    async def main():
        await alone()
        async for _ in block()(handed_on(several))():
            assert modes.current_mode() is modes.PLAIN

    async def several():
        note()
        yield
        note()

    list(block()(Stepping())())
    asyncio.run(main())
    assert seen == [False] * 6


def test_what_is_sent_and_thrown_into_a_decorated_asynchronous_generator():
    ended = []

    @no_grad()
    async def steps():
        try:
            sent = yield recorded()
            yield sent, recorded()
        except ValueError as error:
            yield str(error), recorded()
        finally:
            ended.append(recorded())

    async def main():
        running = steps()
        assert await running.__anext__() is False and await running.asend(3) == (3, False)
        await running.aclose()
        running = steps()
        await running.__anext__()
        assert await running.athrow(ValueError("in")) == ("in", False) and recorded()
        with pytest.raises(StopAsyncIteration):
            await running.__anext__()

    asyncio.run(main())
    assert ended == [False, False]


@pytest.mark.parametrize("block", [no_grad, detect_anomaly])
def test_what_cannot_be_decorated(block):
    with pytest.raises(TypeError, match=rf"parentheses: @{block.__name__}\(\)"):
        block(recorded)
    with pytest.raises(TypeError, match="not the class Around; decorate its methods"):
        block()(Around)
    with pytest.raises(TypeError, match="decorates a function, not 3"):
        block()(3)


def test_detect_anomaly_holds_the_same_way():
    @detect_anomaly()
    def steps():
        yield
        yield np.log(Tensor(0.0))

    running = steps()
    next(running)
    with np.errstate(divide="ignore"):
        assert np.log(Tensor(0.0)).item() == -np.inf
    with pytest.raises(FloatingPointError, match="log made an infinity"):
        next(running)


def interrupted(at):
    """Runs a block, interrupted at one of the lines of its code; whether there were so many."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        if frame.f_code.co_filename not in (blocks.__file__, modes.__file__):
            return None
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return trace

    def body():
        with no_grad():
            recorded()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        body()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_every_line_leaves_nothing_behind():
    at = 1
    while interrupted(at):
        assert recorded(), f"after Ctrl-C at line {at}"
        at += 1
    assert at > 30
