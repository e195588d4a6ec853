"""A gRPC server that accepts many calls at a time.

`grpc.aio` asks gRPC's core for one call, and for the next one when it has begun that. However many
wait, each is then handed over by itself, through every thread on the way: the event loop sleeps
and is woken again for each. Asked for more than one, the core hands over what has come, and the
threads wake up once for several calls.

For this a method of grpcio's own server is overridden that is not public. A version of grpcio that
has no such method serves as it does by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

__all__ = ["CALLS_AHEAD", "accepting_server"]

#: For how many calls the core is asked at a time.
CALLS_AHEAD = 32

_Server: Any = cygrpc.AioServer


def accepting_server(**options: Any) -> grpc.aio.Server:
    """Return `grpc.aio.server(**options)` as one that accepts many calls at a time."""
    if not hasattr(_Server, "_make_request_call_future"):
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
        self._asked: set[asyncio.Task[Any]] = set()
        #: Calls that have come and are not begun.
        self._come: deque[asyncio.Task[Any]] = deque()
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
            task: asyncio.Task[Any] = super()._make_request_call_future(None)
            self._asked.add(task)
            task.add_done_callback(self._take)
        if self._come:
            return self._come.popleft()
        self._next = asyncio.get_running_loop().create_future()
        return self._next

    def _take(self, task: asyncio.Task[Any]) -> None:
        """Hand on what the core answered: a call, or that there is none."""
        self._asked.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if self._next is not None and not self._next.done():
            if failure is None:
                self._next.set_result(task.result())
            else:
                self._next.set_exception(failure)
        elif failure is None and self.is_running():
            self._come.append(task)

    async def shutdown(self, grace: float | None) -> None:
        """Stop. Calls that have not begun end as those do that the core has not handed over.

        The core has answered all that it was asked for when this returns: what comes later would
        come to a loop that may be closed.
        """
        self._come.clear()
        await super().shutdown(grace)
        if self._asked:
            await asyncio.wait(self._asked)
