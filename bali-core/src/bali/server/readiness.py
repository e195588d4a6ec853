"""Whether this process wants to be sent work, and who is told when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Readiness", "ReadinessListener"]

#: Called with the new state. What it returns, if awaitable, runs as a task of the server's loop.
ReadinessListener = Callable[[bool], Awaitable[None] | None]


class Readiness:
    """Ready or not: set by the server, read by `/readyz`, followed by gRPC's health service.

    A new object is not ready; the server makes it ready once it listens, and not ready as the
    first step of stopping. Used from the server's event loop only.
    """

    def __init__(self) -> None:
        self._ready = False
        self._listeners: list[ReadinessListener] = []
        self._tasks: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<Readiness {'ready' if self._ready else 'not ready'}>"

    @property
    def is_ready(self) -> bool:
        """Whether new work is wanted."""
        return self._ready

    def subscribe(self, listener: ReadinessListener) -> Callable[[], None]:
        """Have `listener` called on every later change; return a function that ends this."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def change(self, *, ready: bool) -> None:
        """Set the state and tell every listener; nothing happens if it is the same already."""
        if ready == self._ready:
            return
        self._ready = ready
        for listener in tuple(self._listeners):
            outcome = listener(ready)
            if outcome is not None:
                task = asyncio.ensure_future(outcome)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until the listeners that were told have done what they do."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
