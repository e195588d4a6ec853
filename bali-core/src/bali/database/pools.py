"""The pool of connections: bounded, and careful with what a cancelled caller has begun."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_, greenlet_spawn

__all__ = ["SteadyPool", "has_listeners"]

T = TypeVar("T")

#: How long a cancelled caller waits for the connection that it has begun to open.
_PATIENCE_SECONDS = 0.5


class SteadyPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, which opens a connection to its end and keeps or closes it then.

    One that is given up half open would never be closed: the driver does not know it yet, and
    SQLAlchemy no longer.
    """

    # With SQLAlchemy's own pools, which are silent at INFO unless they are asked to speak.
    _sqla_logger_namespace = "sqlalchemy.pool.SteadyPool"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Closes connections for which there is no room any more.
        self._closing: set[asyncio.Future[None]] = set()

    def _create_connection(self) -> ConnectionPoolEntry:
        return await_(_to_the_end(super()._create_connection, lambda made: made.close()))

    def _do_get(self) -> ConnectionPoolEntry:
        entry = super()._do_get()
        if entry.dbapi_connection is None:  # its connection was broken, so it needs a new one
            try:
                await_(_to_the_end(entry.get_connection))  # type: ignore[attr-defined]  # of SQLAlchemy's own entries
            except BaseException:
                self._do_return_conn(entry)
                raise
        return entry

    @property
    def is_observed(self) -> bool:
        """Whether somebody wants to see connections come and go."""
        events: Any = self.dispatch
        return self._pre_ping or has_listeners(events.checkout, events.checkin, events.reset)

    async def borrow(self) -> ConnectionPoolEntry:
        """Take a connection as `connect` does, for one statement outside a transaction.

        It is handed back with `give_back`, which has nothing to reset then. Raises SQLAlchemy's
        `TimeoutError` when none becomes free in time.
        """
        idle: asyncio.Queue[Any] = self._pool._queue  # type: ignore[attr-defined]  # noqa: SLF001 - of SQLAlchemy's own queue
        # As `get_nowait` does, which also tells those who wait to put something in: nobody does.
        entry = idle._get() if idle._queue else await self._next_entry(idle)  # type: ignore[attr-defined]  # noqa: SLF001 - of `asyncio.Queue`
        if self._is_due(entry):
            try:
                await _to_the_end(entry.get_connection)
            except BaseException:
                self._do_return_conn(entry)
                raise
        return entry  # type: ignore[no-any-return]  # what the queue holds

    async def _next_entry(self, idle: asyncio.Queue[Any]) -> Any:
        if not -1 < self._max_overflow <= self._overflow:
            return await greenlet_spawn(self._do_get)
        try:
            async with asyncio.timeout(self._timeout):
                return await idle.get()
        except TimeoutError:
            raise exc.TimeoutError("every connection is in use", code="3o7r") from None

    def give_back(self, entry: ConnectionPoolEntry) -> None:
        """Hand a borrowed connection back."""
        idle: Any = self._pool._queue  # type: ignore[attr-defined]  # noqa: SLF001 - as in `borrow`
        if not idle._getters and len(idle._queue) < idle.maxsize:  # noqa: SLF001 - same
            idle._put(entry)  # noqa: SLF001 - all that is left of `put_nowait`: nobody joins it
        elif idle.full():
            closing = asyncio.ensure_future(greenlet_spawn(self._do_return_conn, entry))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        else:
            idle.put_nowait(entry)

    async def wait_closed(self) -> None:
        """Return when the connections are closed for which there was no room any more."""
        while self._closing:
            await asyncio.wait(self._closing)

    async def give_up(self, entry: ConnectionPoolEntry, error: BaseException) -> None:
        """Hand a borrowed connection back that `error` has left in a state nobody knows."""
        try:
            await _to_the_end(lambda: entry.invalidate(error))
        finally:
            self._do_return_conn(entry)

    def _is_due(self, entry: Any) -> bool:
        """Tell whether a connection is broken, or too old to be used again."""
        begun = entry.starttime
        return (
            entry.dbapi_connection is None
            or self._invalidate_time > begun
            or entry._soft_invalidate_time > begun  # noqa: SLF001 - as `get_connection` does
            or -1 < self._recycle < time.time() - begun
        )


def has_listeners(*events: Any) -> bool:
    """Tell whether somebody listens to one of some events of SQLAlchemy's, as `bool` of each does.

    That would be a call for each, on every statement.
    """
    for event in events:  # noqa: SIM110 - a generator costs more
        if event.listeners or event.parent_listeners:
            return True
    return False


async def _to_the_end(function: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """Call a function of SQLAlchemy's; call `undo` if the caller was cancelled meanwhile."""
    task = asyncio.ensure_future(greenlet_spawn(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_PATIENCE_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None and undo is not None:
            await greenlet_spawn(undo, task.result())
        raise
