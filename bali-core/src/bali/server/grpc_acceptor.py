"""A gRPC server that accepts many calls at a time.

`grpc.aio` asks gRPC's core for one call, and for the next one when it has begun that. However many
wait, each is then handed over by itself, through every thread on the way: the event loop sleeps
and is woken again for each. Asked for more than one, the core hands over what has come, and the
threads wake up once for several calls.

For this a method of grpcio's own server is overridden that is not public, and another one is used.
A version of grpcio that has no such methods serves as it does by itself.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Coroutine
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

__all__ = ["CALLS_AHEAD", "accepting_server"]

#: For how many calls the core is asked at a time.
CALLS_AHEAD = 32

_Server: Any = cygrpc.AioServer
_NEEDED = ("_make_request_call_future", "_request_call")


def accepting_server(**options: Any) -> grpc.aio.Server:
    """Return `grpc.aio.server(**options)` as one that accepts many calls at a time."""
    if not all(hasattr(_Server, name) for name in _NEEDED):
        return grpc.aio.server(**options)
    # What grpc.aio makes of its options is for it to know; only the class is another one.
    cygrpc.AioServer = _AcceptingServer
    try:
        return grpc.aio.server(**options)
    finally:
        cygrpc.AioServer = _Server


class _AcceptingServer(_Server):  # type: ignore[misc]  # of no known type
    """The server within a `grpc.aio.Server`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._asked: set[asyncio.Future[Any]] = set()
        #: Calls that have come and are not begun.
        self._come: deque[asyncio.Future[Any]] = deque()
        #: What the main loop waits for when no call has come.
        self._next: asyncio.Future[Any] | None = None

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Future[Any]:
        """Return the next call; of a method that is registered by name, if it says so.

        The main loop begins one call after the other, and asks here for each. In which order the
        core hands calls over is not certain, so it waits for any of them.
        """
        if method is not None:
            return super()._make_request_call_future(method)  # type: ignore[no-any-return]  # untyped
        while len(self._asked) + len(self._come) < CALLS_AHEAD:
            call = _run_to_its_end(self._request_call())
            self._asked.add(call)
            call.add_done_callback(self._take)
        if self._come:
            return self._come.popleft()
        self._next = asyncio.get_running_loop().create_future()
        return self._next

    def _take(self, call: asyncio.Future[Any]) -> None:
        """Hand on what the core answered: a call, or that there is none."""
        self._asked.discard(call)
        failure = call.exception()
        if self._next is not None and not self._next.done():
            if failure is None:
                self._next.set_result(call.result())
            else:
                self._next.set_exception(failure)
        elif failure is None and self.is_running():
            self._come.append(call)

    async def shutdown(self, grace: float | None) -> None:
        """Stop. With a grace, calls that have come are begun before, and have it like the others.

        The core has answered all that it was asked for when this returns: what comes later would
        come to a loop that may be closed.
        """
        if grace is not None and self._come:
            last = self._come[-1]
            while last in self._come:  # noqa: ASYNC110 - the main loop begins them in its turns
                await asyncio.sleep(0)
        self._come.clear()
        await super().shutdown(grace)
        if self._asked:
            await asyncio.wait(self._asked)


def _run_to_its_end(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """Run a coroutine that awaits futures alone, and return the future of its outcome.

    A task would be cancelled when `asyncio.run` ends, and the coroutine be gone with it, while
    the core may still write a call into the memory that the coroutine owns.
    """
    outcome = asyncio.get_running_loop().create_future()
    _go_on(coroutine, outcome)
    return outcome


def _go_on(
    coroutine: Coroutine[Any, Any, Any], outcome: asyncio.Future[Any], _: object = None
) -> None:
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        outcome.set_result(end.value)
    except Exception as error:  # noqa: BLE001 - it is for who waits for the outcome
        outcome.set_exception(error)
    else:
        awaited._asyncio_future_blocking = False  # noqa: SLF001 - what a task has to do here
        # Not a closure, which would refer to itself: a call that is dropped ends at once.
        awaited.add_done_callback(functools.partial(_go_on, coroutine, outcome))
