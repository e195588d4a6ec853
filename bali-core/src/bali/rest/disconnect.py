"""Noticing under any ASGI server that the client has gone while its call is being answered.

bali's own server and its middleware cancel a call at once; this guard does the same for a router
that was included into somebody else's app. It looks only at calls that take a while, so a quick
one costs a timer and no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from starlette.types import Receive

__all__ = ["DISCONNECT", "DisconnectGuard", "SignalGuard", "has_signal"]

#: The extension by which bali's server tells that it cancels the calls of clients that have gone.
DISCONNECT = "bali.disconnect"
_PATIENCE_SECONDS = 0.02


def has_signal(scope: Mapping[str, Any]) -> bool:
    """Tell whether bali's server, or its middleware, ends the call itself when the client goes."""
    extensions = scope.get("extensions")
    return extensions is not None and DISCONNECT in extensions


class DisconnectGuard:
    """Cancels the task that entered it when the client disconnects; use it in one task.

    The cancellation ends at the guard: its block is left early, `is_gone` is true, and the task
    goes on. Enter it when the request's body has been read.
    """

    __slots__ = ("_base", "_done", "_receive", "_task", "_timer", "_watcher", "is_gone")

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.is_gone = False
        self._done = False
        self._receive: Receive | None = receive
        if has_signal(scope):
            self._receive = None
        self._task: asyncio.Task[Any] | None = None
        self._base = 0
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        if self._receive is not None:
            self._task = asyncio.current_task()
            self._base = self._task.cancelling() if self._task else 0
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_PATIENCE_SECONDS, self._start, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        return self.is_gone and _is_over(self._task, self._base, error)

    def _start(self, receive: Receive) -> None:
        self._watcher = asyncio.create_task(self._watch(receive))

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        task = self._task
        # Whoever else cancelled it has done so already; twice would break its cleaning up.
        if task is not None and not self._done and task.cancelling() == self._base:
            self.is_gone = True
            task.cancel("the client disconnected")


class SignalGuard:
    """Cancels the task that entered it when the server's signal says that the client has gone.

    The signal calls it then. As with `DisconnectGuard`, the cancellation ends here, and `is_gone`
    is true.
    """

    __slots__ = ("_base", "_signal", "_task", "is_gone")

    def __init__(self, signal: Any) -> None:
        self.is_gone = False
        self._signal = signal
        self._task: asyncio.Task[Any] | None = None
        self._base = 0

    def __enter__(self) -> Self:
        task = self._task = asyncio.current_task()
        self._base = task.cancelling() if task else 0
        self._signal.subscribe(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._signal.unsubscribe(self)
        return self.is_gone and _is_over(self._task, self._base, error)

    def __call__(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self.is_gone = True
            self._task.cancel("the client disconnected")


def _is_over(task: asyncio.Task[Any] | None, base: int, error: BaseException | None) -> bool:
    """Take back the cancellation of a guard; tell whether it alone has ended the block."""
    if task is None:
        return False
    is_ours = task.uncancel() <= base
    return is_ours and isinstance(error, asyncio.CancelledError)
