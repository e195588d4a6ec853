"""The pool of connections: bounded, and careful with what a cancelled caller has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_, greenlet_spawn

__all__ = ["SteadyPool"]

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
