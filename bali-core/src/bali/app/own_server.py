"""Running a gRPC server that a service has written itself: the `serve()` of `rpc_service=`."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import FrameType
from typing import Any

import grpc

from bali.app.lifespan import held_lifespan
from bali.resources import Pipeline
from bali.rpc import interceptors_use

__all__ = ["run_own_server"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: How long what has been told to stop may take to return, and the process to end, after the grace.
_UNWIND_SECONDS = 6.0
#: How often meanwhile it is seen whether it has to be woken.
_LOOKS = 6
#: The coroutine of grpc.aio that sees a call to its end.
_TASK_OF_A_CALL = "_schedule_rpc_coro"


class _Stop(BaseException):
    """Unwinds a `serve()` that waits for something else than its server."""


def run_own_server(
    serve: Callable[[], Any],
    *,
    pipeline: Pipeline,
    lifespan: AbstractAsyncContextManager[Any],
    drain_delay_seconds: float,
    grace_seconds: float,
) -> int:
    """Run `serve`, plain or `async def`, until it returns or a signal comes; return the exit code.

    The service's lifespan surrounds it, and a `ProcessInterceptor()` that it makes answers through
    `pipeline`. At SIGTERM or SIGINT every gRPC server of the process goes on for the delay, then
    takes no new calls and ends those under way within the grace; a second signal ends at once.
    """
    with (
        held_lifespan(lifespan),
        interceptors_use(pipeline),
        _stopping(drain_delay_seconds, grace_seconds),
    ):
        outcome = serve()
        if inspect.iscoroutine(outcome):
            asyncio.run(_with_its_calls(outcome))
    return 0


async def _with_its_calls(serving: Coroutine[Any, Any, Any]) -> None:
    """Await a `serve()`, and then what grpc.aio still has to do for calls that have ended.

    It tells of every such task that the end of the loop cancels as of an error.
    """
    try:
        await serving
    finally:
        ending = [
            task
            for task in asyncio.all_tasks()
            if getattr(task.get_coro(), "__qualname__", "") == _TASK_OF_A_CALL
        ]
        if ending:
            await asyncio.wait(ending, timeout=_UNWIND_SECONDS / _LOOKS)


@contextmanager
def _stopping(drain_delay_seconds: float, grace_seconds: float) -> Iterator[None]:
    """Make signals stop the servers that the block runs, and the block with them."""
    told, cut, returned = threading.Event(), threading.Event(), threading.Event()
    waiting = threading.get_ident()

    def stop() -> None:
        time.sleep(drain_delay_seconds)
        _stop_servers(grace_seconds)
        # The servers have ended, so `serve()` returns unless it waits for something of its own.
        # A signal that comes in the moment before it begins to wait does not wake it.
        for _ in range(_LOOKS):
            time.sleep(_UNWIND_SECONDS / _LOOKS)
            if not (returned.is_set() or cut.is_set()):
                signal.pthread_kill(waiting, signal.SIGTERM)
        # A thread that never returns would keep the interpreter from ending.
        sys.stderr.write("warning: calls that did not end in time were given up\n")
        sys.stderr.flush()
        os._exit(0)

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not told.is_set():
            told.set()
            threading.Thread(target=stop, name="bali-stop", daemon=True).start()
        elif not returned.is_set():
            cut.set()
            raise _Stop

    former = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    except _Stop:
        pass
    finally:
        returned.set()
        if not told.is_set():  # else the process is ending, and nothing may cut that short
            for number, handler in former.items():
                signal.signal(number, handler)


def _stop_servers(grace_seconds: float) -> None:
    """Stop the gRPC servers of this process and wait until their calls have ended."""
    plain: list[Any] = []
    asynchronous: list[Any] = []
    # `serve()` keeps its server to itself; nothing else knows all servers that there are.
    for item in gc.get_objects():
        if issubclass(type(item), grpc.Server):
            plain.append(item)
        elif issubclass(type(item), grpc.aio.Server):
            asynchronous.append(item)
    ended = [server.stop(grace_seconds) for server in plain]
    for server in asynchronous:
        loop: asyncio.AbstractEventLoop = server._loop  # noqa: SLF001 - the loop that it lives on
        ending = asyncio.run_coroutine_threadsafe(server.stop(grace_seconds), loop)
        done = threading.Event()
        ending.add_done_callback(functools.partial(_set, done))
        ended.append(done)
    deadline = time.monotonic() + grace_seconds + _UNWIND_SECONDS
    for event in ended:
        event.wait(max(0.0, deadline - time.monotonic()))


def _set(event: threading.Event, _: Any) -> None:
    event.set()
