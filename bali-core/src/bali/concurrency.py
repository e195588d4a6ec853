"""Calling coroutines from code that is not one.

A service has one event loop that owns its connections. Synchronous code meets it in two places:
in a worker thread of that loop (a `def` action, a synchronous servicer), and in a program without
any loop (a script, a shell, a thread pool of a plain `grpc.server`). `run_blocking` serves both:
the coroutine runs on the loop that started the thread's work, else on one background loop that the
process starts when it is first needed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["background_loop", "current_loop", "in_event_loop", "run_blocking", "run_in_thread"]

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
    if errand is None:
        return asyncio.run_coroutine_threadsafe(coroutine, current_loop()).result()
    return errand.run(coroutine)


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a worker thread that knows this loop as its own.

    Context variables are copied into the thread. When the caller is cancelled, what the thread has
    under way on the loop is cancelled and awaited, and its next `run_blocking` raises; code that
    never comes back to the loop runs on unheard, since no thread can be stopped from outside.
    """
    loop = asyncio.get_running_loop()
    errand = _Errand(loop)
    context = contextvars.copy_context()
    context.run(_home_loop.set, loop)
    context.run(_errand.set, errand)
    call = functools.partial(context.run, functools.partial(function, *args, **kwargs))
    try:
        return await loop.run_in_executor(_executor(), call)
    except asyncio.CancelledError:
        await errand.cancel()
        raise


class _Errand:
    """The work that one thread does for one call of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._cancelled = False
        self._future: concurrent.futures.Future[Any] | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._cancelled or not self._loop.is_running():
                coroutine.close()
                raise asyncio.CancelledError
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._future = future
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None

    async def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            future = self._future
        if future is None or future.done():
            return
        future.cancel()
        # The future is done at once; its task needs turns of the loop to unwind.
        await asyncio.sleep(0)


@functools.cache
def _executor() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="bali-action")
