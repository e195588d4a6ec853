"""The unit of work: one session and one transaction for one call.

A unit belongs to the task that opened it, and to the tasks and worker threads that act for it; they
take turns. Its session is made when it is first used, so a call without the database costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from bali.concurrency import in_event_loop, run_blocking
from bali.database.failures import is_disconnect, mapped_errors, meaning_of
from bali.database.session import UnitSession
from bali.errors import Aborted, Unavailable

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["Scope", "Transaction", "Unit"]

T = TypeVar("T")

#: How long a commit or rollback may take before the connection is given up.
_END_SECONDS = 30.0


class Scope:
    """A transaction that operations take part in: that of a unit, or a savepoint within.

    `gate` admits one operation at a time, or one savepoint with all that is done in it.
    """

    __slots__ = ("_gate", "unit")

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._gate: asyncio.Lock | None = None

    @property
    def gate(self) -> asyncio.Lock:
        """Its lock, made on first use."""
        if self._gate is None:
            self._gate = asyncio.Lock()
        return self._gate

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], *, writes: bool) -> T:
        """Call `work` with the session. What fails in one that writes is undone alone."""
        async with self.gate, self.unit.lock:
            return await self.unit.perform(work, writes=writes)


class Unit(Scope):
    """Commits when its block succeeds; rolls back when it fails or is cancelled.

    It is the scope of the whole transaction itself: a call that opens one and has no use for it
    leaves nothing for the garbage collector to find. Inside another unit of the same database it is
    that one, unless `joins` is False.
    """

    def __init__(self, database: Database, *, joins: bool = True) -> None:
        self._database = database
        self._current = database.current_scope
        self._joins = joins
        self._session: AsyncSession | None = None
        self._outer: Scope | None = None
        self._former: Scope | None = None
        self._is_over = False
        #: The savepoints within, outermost first.
        self._savepoints: list[Scope] = []
        self._gate = None
        self._lock: asyncio.Lock | None = None

    async def __aenter__(self) -> Unit:  # noqa: PYI034 - it may be the one around it
        outer = self._current.get()
        if outer is not None:
            if self._joins and not outer.unit.is_over:
                self._outer = outer
                return outer.unit
            self._former = outer
        self._current.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._outer is not None:
            return
        self._current.set(self._former)
        if error is None and self._session is None:
            self._is_over = True
        else:
            await self.close(error)

    @property
    def lock(self) -> asyncio.Lock:
        """What whoever uses the connection holds, made on first use."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    @property
    def unit(self) -> Unit:  # type: ignore[override]  # it needs no place to remember itself
        """Itself."""
        return self

    @property
    def metadata(self) -> MetaData:
        """The tables of the database's models."""
        return self._database.metadata

    @property
    def session(self) -> AsyncSession:
        """The session of this unit, made on first use.

        Raises `RuntimeError` when the unit is over: its work is committed or rolled back already.
        """
        if self._is_over:
            raise RuntimeError(
                "this unit of work is over: its call has ended; what goes on after it needs one of "
                "its own, `async with db.unit():`"
            )
        if self._session is None:
            self._session = AsyncSession(
                self._database.engine,
                sync_session_class=UnitSession,
                expire_on_commit=False,
                unit=self,
            )
        return self._session

    @property
    def is_used(self) -> bool:
        """Whether a session has been opened."""
        return self._session is not None

    @property
    def is_over(self) -> bool:
        """Whether it has been committed or rolled back."""
        return self._is_over

    async def commit(self) -> None:
        """Make what was done so far permanent and give the connection back."""
        if self._database.scope in self._savepoints:
            raise RuntimeError("db.commit() inside db.transaction(): leave the transaction first")
        if self._session is None:
            return
        async with self.gate, self.lock:
            session = self.session
            with mapped_errors(self.metadata):
                await _finish(session.commit())
            _sync(session).forget_writes()

    async def close(self, error: BaseException | None) -> None:
        """Commit, or roll back when there was an error; afterwards the unit is over.

        Raises what the error means when it is one of the database.
        """
        self._is_over = True
        if self._session is not None:
            try:
                await _finish(self._end(self._session, is_failed=error is not None))
            finally:
                # Whoever waits learns that the unit is over.
                for scope in (self, *self._savepoints):
                    _release(scope.gate)
        found = None if error is None else meaning_of(error, self.metadata)
        if found is not None:
            raise found from error

    async def guarded(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work on the session when it is the caller's turn."""
        current = self._database.scope
        scope = current if current is not None and current.unit is self else self
        try:
            async with scope.gate, self.lock:
                _ = self.session
                return await work
        finally:
            work.close()

    async def perform(self, work: Callable[[AsyncSession], Awaitable[T]], *, writes: bool) -> T:
        """Call `work` with the session; its errors become ours.

        An operation that fails leaves the unit as it was before, so that the caller may go on;
        unless the database undid the whole transaction, from when on the unit can only fail.
        """
        session = self.session
        sync = _sync(session)
        sync.refuse_if_spoiled()
        if sync.spoiled_by is not None and not sync.in_nested_transaction():
            await _undo(session)  # nothing was written
        if sync.is_untouched:
            return await self._perform_first(session, work)
        if writes:
            return await self._perform_in_savepoint(session, work)
        with mapped_errors(self.metadata):
            return await work(session)

    async def begin(self, parent: Scope) -> tuple[Scope, AsyncSessionTransaction]:
        """Open a savepoint; nothing else happens in the scope around it until `leave`."""
        await parent.gate.acquire()
        try:
            async with self.lock:
                session = self.session
                _sync(session).refuse_if_spoiled()
                with mapped_errors(self.metadata):
                    nested = await session.begin_nested()
        except BaseException:
            _release(parent.gate)
            raise
        scope = Scope(self)
        self._savepoints.append(scope)
        return scope, nested

    async def leave(
        self, parent: Scope, nested: AsyncSessionTransaction, error: BaseException | None
    ) -> None:
        """Keep what was done since a savepoint, or undo it when there was an error."""
        try:
            await _finish(self._leave(nested, error))
        finally:
            self._savepoints.pop()
            _release(parent.gate)

    async def _leave(self, nested: AsyncSessionTransaction, error: BaseException | None) -> None:
        sync = _sync(self.session)
        async with self.lock:
            if error is None:
                try:
                    with mapped_errors(self.metadata):
                        await nested.commit()
                except BaseException as failure:
                    await self._undo_nested(sync, nested, failure)
                    raise
                return
            await self._undo_nested(sync, nested, error)
        found = meaning_of(error, self.metadata)
        if found is not None:
            raise found from error

    async def _undo_nested(
        self, sync: UnitSession, nested: AsyncSessionTransaction, error: BaseException
    ) -> None:
        try:
            await nested.rollback()
        except Exception:  # noqa: BLE001 - the savepoint is gone, and with it the transaction
            sync.spoil(error, root=True)
        if _is_hopeless(error):
            sync.spoil(error, root=True)

    async def _perform_first(
        self, session: AsyncSession, work: Callable[[AsyncSession], Awaitable[T]]
    ) -> T:
        """Call `work` when a rollback loses nothing; once more if the connection was stale."""
        try:
            return await self._or_undo(session, work)
        except Unavailable as error:
            cause = error.__cause__
            if cause is None or not is_disconnect(cause):
                raise
        return await self._or_undo(session, work)

    async def _or_undo(
        self, session: AsyncSession, work: Callable[[AsyncSession], Awaitable[T]]
    ) -> T:
        with mapped_errors(self.metadata):
            try:
                return await work(session)
            except BaseException:
                await _finish(_undo(session))
                raise

    async def _perform_in_savepoint(
        self, session: AsyncSession, work: Callable[[AsyncSession], Awaitable[T]]
    ) -> T:
        original: BaseException | None = None
        with mapped_errors(self.metadata):
            try:
                async with session.begin_nested():
                    try:
                        return await work(session)
                    except BaseException as error:
                        original = error
                        raise
            except BaseException as error:  # noqa: BLE001 - raised below
                cause = original or error
                if cause is not error or _is_hopeless(cause):
                    _sync(session).spoil(cause, root=True)
                raise cause from cause.__cause__

    async def _end(self, session: AsyncSession, *, is_failed: bool) -> None:
        async with self.lock:  # an operation of another task may be under way
            try:
                async with asyncio.timeout(_END_SECONDS):
                    await (session.close() if is_failed else self._commit(session))
            except TimeoutError:
                await session.invalidate()
                raise Unavailable("The database did not confirm that the work is stored") from None

    async def _commit(self, session: AsyncSession) -> None:
        try:
            if self._savepoints:
                raise RuntimeError(
                    "a call ended while a task or thread that it started was still inside "
                    "db.transaction(); its work is not stored"
                )
            _sync(session).refuse_if_spoiled()
            with mapped_errors(self.metadata):
                await session.commit()
        finally:
            await session.close()


class Transaction:
    """`db.transaction()`: all or nothing, in asynchronous code and in code that blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: Unit | None = None
        self._former: Scope | None = None
        self._parent: Scope | None = None
        self._nested: AsyncSessionTransaction | None = None

    async def __aenter__(self) -> AsyncSession:
        self._former = outer = self._database.scope
        if outer is None or outer.unit.is_over:
            return self._enter_own().session
        self._parent = outer
        scope, self._nested = await outer.unit.begin(outer)
        self._database.current_scope.set(scope)
        return scope.unit.session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.current_scope.set(self._former)
        await self._leave(error)

    def __enter__(self) -> None:
        if in_event_loop():
            raise RuntimeError("use `async with db.transaction():` in asynchronous code")
        self._former = outer = self._database.scope
        if outer is None or outer.unit.is_over:
            self._enter_own()
            return
        self._parent = outer
        scope, self._nested = run_blocking(outer.unit.begin(outer))
        self._database.current_scope.set(scope)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.current_scope.set(self._former)
        run_blocking(self._leave(error))

    def _enter_own(self) -> Unit:
        self._own = Unit(self._database)
        self._database.current_scope.set(self._own)
        return self._own

    async def _leave(self, error: BaseException | None) -> None:
        if self._own is not None:
            await self._own.close(error)
        elif self._parent is not None and self._nested is not None:
            await self._parent.unit.leave(self._parent, self._nested, error)


def _sync(session: AsyncSession) -> UnitSession:
    return cast("UnitSession", session.sync_session)


def _is_hopeless(error: BaseException) -> bool:
    """Tell whether the database has undone the transaction, or may have."""
    return isinstance(meaning_of(error) or error, Aborted | Unavailable | asyncio.CancelledError)


async def _undo(session: AsyncSession) -> None:
    try:
        await session.rollback()
    except Exception:  # noqa: BLE001 - the connection is broken
        await session.invalidate()
    _sync(session).forget_writes()


def _release(gate: asyncio.Lock) -> None:
    if gate.locked():
        gate.release()


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Await work to its end, whatever happens to the caller meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the caller has gone
        raise cancelled
    task.result()
