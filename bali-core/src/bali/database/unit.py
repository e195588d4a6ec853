"""The unit of work: one session and one transaction for one call.

A unit belongs to the task that opened it and to the worker threads that act for it. Its session is
made when it is first used, so a call that touches no database costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from bali.database.failures import mapped

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["Unit"]


class Unit:
    """Commits when its block succeeds; rolls back when it fails or is cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: AsyncSession | None = None
        self._outer: Unit | None = None
        self._is_joined = False
        self._is_closed = False
        #: One statement at a time: tasks of one call share the connection.
        self.lock = asyncio.Lock()

    async def __aenter__(self) -> Unit:
        self._outer = self._database.current_unit
        if self._outer is not None:
            self._is_joined = True
            return self._outer
        self._database.enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_joined:
            return
        self._database.enter(None)
        self._is_closed = True
        session, self._session = self._session, None
        if session is None:
            if error is not None:
                with mapped():
                    raise error
            return
        del kind, trace
        if error is None:
            await _finish(self._commit(session))
            return
        await _finish(_rollback(session))
        if isinstance(error, Exception):
            with mapped():
                raise error

    @property
    def session(self) -> AsyncSession:
        """The session of this unit, made on first use.

        Raises `RuntimeError` when the unit is over: its work is committed or rolled back already.
        """
        if self._is_closed:
            raise RuntimeError(
                "this unit of work is over; open another with `async with db.unit()`"
            )
        if self._session is None:
            self._session = self._database.new_session()
        return self._session

    @property
    def is_used(self) -> bool:
        """Whether a session has been opened."""
        return self._session is not None

    async def commit(self) -> None:
        """Make what was done so far permanent and give the connection back."""
        if self._session is not None:
            with mapped():
                await self._session.commit()

    async def rollback(self) -> None:
        """Undo what was done since the start or the last `commit`."""
        if self._session is not None:
            await self._session.rollback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[AsyncSession]:
        """A transaction inside this one: what fails in it is undone, and nothing else."""
        session = self.session
        with mapped():
            async with session.begin_nested():
                yield session

    async def _commit(self, session: AsyncSession) -> None:
        try:
            with mapped():
                await session.commit()
        except BaseException:
            await _rollback(session)
            raise
        await session.close()


async def _rollback(session: AsyncSession) -> None:
    try:
        await session.rollback()
    finally:
        await session.close()


async def _finish(work: Any) -> None:
    """Await work to its end, whatever happens to the caller meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done():
                break
            cancelled = error
        except Exception:  # noqa: BLE001 - raised below, from the task
            break
    task.result()
    if cancelled is not None:
        raise cancelled
