"""Calling coroutines from code that is not one.

A service has one event loop that owns its connections. Synchronous code meets it in two places:
in a worker thread of that loop (a `def` action, a synchronous servicer), and in a program without
any loop (a script, a shell, a thread pool of a plain `grpc.server`). `run_blocking` serves both:
the coroutine runs on the loop that started the thread's work, else on one background loop that the
process starts when it is first needed. A forked child starts with neither threads nor a loop of
its parent's.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import os
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "background_loop",
    "cancelled_once",
    "current_loop",
    "in_context",
    "in_event_loop",
    "is_background",
    "run_blocking",
    "run_in_pool",
    "run_in_thread",
    "serve_loop",
]

#: How many synchronous actions of one process run at the same time; more wait their turn.
MAX_THREADS = 64

T = TypeVar("T")
P = ParamSpec("P")

_home_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "bali_home_loop", default=None
)
_errand: contextvars.ContextVar[_Errand | None] = contextvars.ContextVar(
    "bali_errand", default=None
)
_background: asyncio.AbstractEventLoop | None = None
_background_lock = threading.Lock()


def in_event_loop() -> bool:
    """Tell whether the calling thread is running an event loop right now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the process's background loop, started in a daemon thread on first use."""
    global _background  # noqa: PLW0603 - one loop per process is the point
    with _background_lock:
        if _background is None or _background.is_closed():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="bali-loop", daemon=True).start()
            _background = loop
        return _background


def is_background(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop is the process's background loop, without starting one."""
    return loop is _background


def current_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that owns the work of the calling thread.

    The running loop; else the loop that handed this thread its work (`run_in_thread`); else the
    background loop.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        home = _home_loop.get()
        return home if home is not None and home.is_running() else background_loop()


def serve_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Have the calling thread's work of this context done on `loop`, which owns it."""
    _home_loop.set(loop)


async def cancelled_once(work: Coroutine[Any, Any, T]) -> T:
    """Await work in a task of its own, to which at most one cancellation gets through.

    A caller that goes away just as its deadline passes cancels twice. Code that cleans up after
    the first must not be interrupted by the second: a driver that is telling its database to stop
    a query would leave it running. The work is awaited to its end, and what it returns or raises
    is the outcome, as if it ran here.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue
        if task.cancelled():
            raise
        return task.result()


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on `current_loop()` and return its result.

    The coroutine sees the caller's context variables. Raises `RuntimeError` in a thread that runs
    an event loop, since blocking it would stop every other call, and `asyncio.CancelledError` when
    the call that this thread works for has been cancelled.
    """
    if in_event_loop():
        coroutine.close()
        raise RuntimeError(
            "synchronous call inside an event loop: it would block every other call; "
            "use the asynchronous form with await (`await User.aio...` instead of `User.io...`)"
        )
    errand = _errand.get()
    if errand is not None:
        return errand.run(coroutine)
    return _result_of(asyncio.run_coroutine_threadsafe(coroutine, current_loop()))


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a worker thread that knows this loop as its own.

    Context variables are copied into the thread. When the caller is cancelled, what the thread has
    under way on the loop is cancelled and awaited, and its next `run_blocking` raises; code that
    never comes back to the loop runs on unheard, since no thread can be stopped from outside.
    """
    return await run_in_pool(_executor(), functools.partial(function, *args, **kwargs))


async def run_in_pool(pool: concurrent.futures.Executor, function: Callable[[], T]) -> T:
    """Do what `run_in_thread` does in a thread of `pool`.

    For work whose own actions wait for the threads of `run_in_thread`: in the same pool, enough of
    it at once would wait for itself.
    """
    loop = asyncio.get_running_loop()
    errand = _Errand(loop)
    context = contextvars.copy_context()
    context.run(_home_loop.set, loop)
    context.run(_errand.set, errand)
    call = functools.partial(_without_stop, function)
    try:
        return await loop.run_in_executor(pool, context.run, call)
    except asyncio.CancelledError:
        await errand.cancel()
        raise


@types.coroutine
def in_context(
    context: contextvars.Context, coroutine: Coroutine[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Await a coroutine with the context variables of `context`, in the task of whoever awaits.

    What the coroutine sets is kept in `context` and is not seen outside. So an asynchronous
    generator has variables of its own however its steps are interleaved with other work.
    """
    step: Callable[[Any], Any] = coroutine.send
    sent: Any = None
    while True:
        try:
            waited = context.run(step, sent)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # what the coroutine returned
        try:
            step, sent = coroutine.send, (yield waited)
        except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
            step, sent = coroutine.throw, error


class _Errand:
    """The work that one thread, and those it starts, do for one call of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, for the calling thread."""
        with self._lock:
            if self._is_cancelled or not self._loop.is_running():
                coroutine.close()
                raise asyncio.CancelledError
            work = self._work(coroutine)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return _result_of(future)

    async def _work(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._is_cancelled:
            coroutine.close()
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of `run_coroutine_threadsafe` is a task
        self._tasks.add(task)
        try:
            return await coroutine
        finally:
            self._tasks.discard(task)

    async def cancel(self) -> None:
        """Cancel what is under way and return when it has unwound; refuse whatever comes later."""
        with self._lock:
            self._is_cancelled = True
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            try:
                await asyncio.wait(self._tasks)
            except asyncio.CancelledError:  # cancelled once more: so are the tasks
                continue


def _without_stop(function: Callable[[], T]) -> T:
    """Call a function, and turn `StopIteration` into an error, as a coroutine does (PEP 479).

    A future cannot hold `StopIteration`: before Python 3.12 whoever waits for it waits for ever.
    """
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("function raised StopIteration") from error


def _result_of(future: concurrent.futures.Future[T]) -> T:
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise asyncio.CancelledError from None


@functools.cache
def _executor() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="bali-action")


def _forget_threads() -> None:
    """Start afresh in a forked child, where no thread of the parent runs."""
    global _background, _background_lock  # noqa: PLW0603 - one loop per process is the point
    _background = None
    _background_lock = threading.Lock()
    _executor.cache_clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows alone
    os.register_at_fork(after_in_child=_forget_threads)
