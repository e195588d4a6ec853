"""Blocking code and the loops that serve it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bali import concurrency
from bali.concurrency import (
    background_loop,
    cancelled_once,
    current_loop,
    in_context,
    in_event_loop,
    run_blocking,
    run_in_thread,
    serve_loop,
)

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


async def value_of(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_there_is_no_loop_in_plain_code() -> None:
    assert not in_event_loop()


async def test_there_is_a_loop_in_a_coroutine() -> None:
    assert in_event_loop()
    assert current_loop() is asyncio.get_running_loop()


async def test_a_worker_thread_is_not_in_the_loop_but_belongs_to_it() -> None:
    def look() -> tuple[bool, asyncio.AbstractEventLoop]:
        return in_event_loop(), current_loop()

    assert await run_in_thread(look) == (False, asyncio.get_running_loop())


def test_plain_code_uses_one_background_loop() -> None:
    assert run_blocking(running_loop()) is background_loop()
    with ThreadPoolExecutor(4) as threads:
        loops = set(threads.map(lambda _: background_loop(), range(16)))
    assert loops == {background_loop()}


def test_a_closed_background_loop_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(concurrency, "_background", closed)
    fresh = background_loop()
    try:
        assert fresh is not closed
        assert run_blocking(value_of("answer")) == "answer"
    finally:
        fresh.call_soon_threadsafe(fresh.stop)
        while fresh.is_running():  # until its thread has seen it
            threading.Event().wait(0.001)
        fresh.close()


def test_a_thread_whose_loop_has_ended_uses_the_background_loop() -> None:
    seen: list[asyncio.AbstractEventLoop] = []
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def outlive() -> None:
        begun.set()
        go_on.wait()
        seen.append(current_loop())
        done.set()

    async def main() -> None:
        task = asyncio.create_task(run_in_thread(outlive))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    go_on.set()
    done.wait()
    assert seen == [background_loop()]


def test_a_blocking_call_returns_the_result_and_raises_the_error() -> None:
    async def fail() -> None:
        raise KeyError("lost")

    assert run_blocking(value_of(3)) == 3
    with pytest.raises(KeyError, match="lost"):
        run_blocking(fail())


async def test_a_blocking_call_from_a_worker_thread_runs_on_its_loop() -> None:
    def work() -> Any:
        return run_blocking(running_loop())

    assert await run_in_thread(work) is asyncio.get_running_loop()


async def test_a_blocking_call_in_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="use the asynchronous form"):
        run_blocking(value_of(1))


def test_a_blocking_call_sees_the_callers_variables() -> None:
    async def look() -> str:
        return variable.get()

    variable.set("mine")
    try:
        assert run_blocking(look()) == "mine"
    finally:
        variable.set("")


def test_a_coroutine_that_cancels_itself_raises_asyncios_error() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_blocking(give_up())


async def test_a_thread_has_a_copy_of_the_variables() -> None:
    def work(suffix: str, *, end: str) -> str:
        variable.set(variable.get() + suffix + end)
        return variable.get()

    variable.set("a")
    assert await run_in_thread(work, "b", end="c") == "abc"
    assert variable.get() == "a"


async def test_threads_at_once_do_not_share_variables() -> None:
    together = threading.Barrier(8)

    def work(name: str) -> str:
        variable.set(name)
        together.wait()
        return variable.get()

    names = [str(number) for number in range(8)]
    assert await asyncio.gather(*(run_in_thread(work, name) for name in names)) == names


async def test_a_thread_raises_what_the_function_raises() -> None:
    def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        await run_in_thread(fail)


async def test_stop_iteration_in_a_thread_is_an_error_and_no_endless_wait() -> None:
    def first() -> int:
        return next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_in_thread(first)


class Errand:
    """A function in a thread whose coroutine on the loop can be watched."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.log: list[str] = []
        self.ended = threading.Event()

    async def coroutine(self) -> str:
        self.log.append("started")
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.log.append("unwound")
        return "never"

    def function(self) -> None:
        try:
            run_blocking(self.coroutine())
        except asyncio.CancelledError:
            self.log.append("thread told")
            try:
                run_blocking(self.coroutine())
            except asyncio.CancelledError:
                self.log.append("refused")
        finally:
            self.ended.set()


async def test_cancelling_cancels_what_the_thread_does_on_the_loop_and_awaits_it() -> None:
    errand = Errand()
    task = asyncio.create_task(run_in_thread(errand.function))
    await errand.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert errand.log[:2] == ["started", "unwound"]
    await asyncio.to_thread(errand.ended.wait)
    assert errand.log == ["started", "unwound", "thread told", "refused"]


async def test_cancelling_twice_still_awaits() -> None:
    errand = Errand()
    task = asyncio.create_task(run_in_thread(errand.function))
    await errand.started.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(errand.log) >= 1
    assert errand.log[0] == "started"
    await asyncio.to_thread(errand.ended.wait)
    assert errand.log[-1] == "refused"


async def test_cancelling_reaches_every_thread_that_the_function_started() -> None:
    errands = [Errand(), Errand()]

    def function() -> None:
        with ThreadPoolExecutor(2) as threads:
            contexts = [contextvars.copy_context() for _ in errands]
            for context, errand in zip(contexts, errands, strict=True):
                threads.submit(context.run, errand.function)

    task = asyncio.create_task(run_in_thread(function))
    for errand in errands:
        await errand.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for errand in errands:
        assert errand.log[:2] == ["started", "unwound"]
        await asyncio.to_thread(errand.ended.wait)


async def test_work_that_was_on_its_way_to_the_loop_is_not_started() -> None:
    loop = asyncio.get_running_loop()
    errand = concurrency._Errand(loop)
    started: list[str] = []
    submitted = threading.Event()
    outcome: list[str] = []

    async def work() -> None:
        started.append("started")

    def function() -> None:
        submit = asyncio.run_coroutine_threadsafe

        coroutine = errand._work(work())
        future = submit(coroutine, loop)
        submitted.set()
        try:
            concurrency._result_of(future)
        except asyncio.CancelledError:
            outcome.append("cancelled")

    thread = threading.Thread(target=function)
    thread.start()
    submitted.wait()  # the loop has had no turn since
    await errand.cancel()
    await asyncio.to_thread(thread.join)
    assert (started, outcome) == ([], ["cancelled"])


async def test_cancelling_a_thread_that_never_comes_back_does_not_wait() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def stubborn() -> None:
        begun.set()
        go_on.wait()

    task = asyncio.create_task(run_in_thread(stubborn))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()


async def test_a_coroutine_has_the_variables_of_another_context() -> None:
    context = contextvars.copy_context()
    context.run(variable.set, "theirs")
    variable.set("mine")

    async def work() -> list[str]:
        seen = [variable.get()]
        await asyncio.sleep(0)
        seen.append(variable.get())
        variable.set("changed")
        return seen

    assert await in_context(context, work()) == ["theirs", "theirs"]
    assert variable.get() == "mine"
    assert context[variable] == "changed"


async def test_an_error_passes_into_and_out_of_another_context() -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append(variable.get())
            raise KeyError("inside") from None

    context = contextvars.copy_context()
    context.run(variable.set, "theirs")

    async def elsewhere() -> None:
        await in_context(context, work())

    task = asyncio.create_task(elsewhere())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(KeyError, match="inside"):
        await task
    assert log == ["theirs"]


async def test_interleaved_generators_keep_their_variables() -> None:
    async def generate(name: str) -> AsyncIterator[str]:
        variable.set(name)
        for _ in range(3):
            await asyncio.sleep(0)
            yield variable.get()

    generators = {name: generate(name) for name in "ab"}
    contexts = {name: contextvars.copy_context() for name in "ab"}

    async def advance(name: str) -> str:
        return await anext(generators[name])

    seen = [await in_context(contexts[name], advance(name)) for name in "ababab"]
    assert seen == list("ababab")


def test_a_thread_may_be_told_which_loop_owns_its_work() -> None:
    loop = background_loop()

    def work() -> asyncio.AbstractEventLoop:
        serve_loop(loop)
        return current_loop()

    assert contextvars.Context().run(work) is loop


def test_threads_and_loop_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    before, executor = background_loop(), concurrency._executor()
    monkeypatch.setattr(concurrency, "_background", before)
    monkeypatch.setattr(concurrency, "_background_lock", concurrency._background_lock)
    concurrency._forget_threads()
    assert concurrency._background is None
    assert concurrency._executor() is not executor
    executor.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_loop_and_threads_of_its_own() -> None:
    program = textwrap.dedent(
        """
        import asyncio, os, warnings
        from bali.concurrency import run_blocking, run_in_thread
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads, which we mean
        async def answer(): return 42
        async def main(): return await run_in_thread(lambda: run_blocking(answer()))
        assert run_blocking(answer()) == 42 and asyncio.run(main()) == 42
        child = os.fork()
        if child == 0:
            ok = run_blocking(answer()) == 42 and asyncio.run(main()) == 42
            os._exit(0 if ok else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == 0


def test_names_are_sorted_and_exist() -> None:
    assert concurrency.__all__ == sorted(concurrency.__all__)
    functions: list[Callable[..., Any]] = [getattr(concurrency, n) for n in concurrency.__all__]
    assert all(function.__doc__ for function in functions)


async def test_a_second_cancellation_does_not_interrupt_the_clean_up() -> None:
    cleaning, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.sleep(0.01)
            cleaned.set()

    task = asyncio.create_task(cancelled_once(work()))
    await asyncio.sleep(0)
    task.cancel()
    await cleaning.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


@pytest.mark.parametrize("outcome", [7, ValueError("told")])
async def test_what_work_does_with_its_cancellation_is_the_outcome(outcome: Any) -> None:
    async def work() -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if isinstance(outcome, Exception):
                raise outcome from None
        return outcome

    task = asyncio.create_task(cancelled_once(work()))
    await asyncio.sleep(0)
    task.cancel()
    if isinstance(outcome, Exception):
        with pytest.raises(ValueError, match="told"):
            await task
    else:
        assert await task == outcome
