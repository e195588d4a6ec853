"""SQLAlchemy's session for a unit of work: usable from worker threads, and never silently broken.

A `def` action runs in a worker thread. Lazy relations, and the synchronous session itself, work
there: each step with a database behind it is done on the event loop while the thread waits.

A statement that failed leaves a transaction from which PostgreSQL stores nothing, and says so to
nobody: `COMMIT` answers as if it had. So a transaction in which a statement failed after others
have changed something refuses to commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Select, event, exc
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util.concurrency import greenlet_spawn, in_greenlet

from bali.concurrency import in_event_loop, run_blocking
from bali.database.failures import meaning_of
from bali.errors import Aborted

if TYPE_CHECKING:
    from bali.database.unit import Unit

__all__ = ["UnitSession"]


class UnitSession(Session):
    """The synchronous session inside the asynchronous one of a unit of work."""

    def __init__(self, *args: Any, unit: Unit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unit = unit
        self._spoiled: WeakKeyDictionary[SessionTransaction, BaseException] = WeakKeyDictionary()
        self._has_written = False

    def execute(self, statement: Any, *args: Any, **options: Any) -> Any:
        """Execute a statement; see SQLAlchemy's `Session.execute`."""
        self._has_written = self._has_written or not isinstance(statement, Select)
        return self._on_loop(super().execute, statement, *args, **options)

    def scalar(self, statement: Any, *args: Any, **options: Any) -> Any:
        """Return the first value of a statement; see SQLAlchemy's `Session.scalar`."""
        return self._on_loop(super().scalar, statement, *args, **options)

    def scalars(self, statement: Any, *args: Any, **options: Any) -> Any:
        """Return the first value of each row; see SQLAlchemy's `Session.scalars`."""
        return self._on_loop(super().scalars, statement, *args, **options)

    def flush(self, objects: Any = None) -> None:
        """Send pending changes to the database."""
        if not self._is_clean():
            self._has_written = True
        self._on_loop(super().flush, objects)

    def commit(self) -> None:
        """Make the transaction permanent."""
        self._on_loop(super().commit)

    def rollback(self) -> None:
        """Undo the transaction."""
        self._on_loop(super().rollback)

    def close(self) -> None:
        """Give the connection back and forget every object."""
        self._on_loop(super().close)

    def connection(self, *args: Any, **options: Any) -> Any:
        """Return the connection of the transaction."""
        return self._on_loop(super().connection, *args, **options)

    @property
    def is_untouched(self) -> bool:
        """Whether a rollback would lose nothing at all."""
        return not self.in_transaction() and not self.identity_map

    def spoil(self, error: BaseException, *, root: bool = False) -> None:
        """Remember that the present transaction can only be rolled back."""
        level = None if root else self.get_nested_transaction()
        level = level or self.get_transaction()
        if level is not None:
            self._spoiled.setdefault(level, error)

    @property
    def spoiled_by(self) -> BaseException | None:
        """What broke the present transaction, or one around it."""
        level: SessionTransaction | None = self.get_nested_transaction() or self.get_transaction()
        while level is not None:
            error = self._spoiled.get(level)
            if error is not None:
                return error
            level = level.parent
        return None

    def refuse_if_spoiled(self) -> None:
        """Raise when a statement of this transaction failed after another had changed something.

        Raises what the failed statement means, or `Aborted`.
        """
        error = self.spoiled_by
        if error is None or not self._has_written:
            return
        raise meaning_of(error, self._unit.metadata) or Aborted(
            "A statement of this transaction failed or was interrupted, so nothing of it is stored"
        ) from error

    def forget_writes(self) -> None:
        """Begin afresh after a commit or rollback of everything."""
        self._has_written = False

    def _on_loop(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if in_greenlet():
            return self._watched(function, *args, **options)
        if in_event_loop():
            if self._needs_no_loop(function.__name__):
                return function(*args, **options)
            raise RuntimeError(
                "an attribute that must be read from the database was used in asynchronous code; "
                "write `await item.awaitable_attrs.name`, or load it with the query "
                "(sqlalchemy.orm.selectinload)"
            )
        work = greenlet_spawn(self._watched, function, *args, **options)
        return run_blocking(self._unit.guarded(work))

    def _watched(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (exc.DBAPIError, asyncio.CancelledError) as error:
            self.spoil(error)
            raise

    def _needs_no_loop(self, name: str) -> bool:
        """Tell whether a method has nothing to say to the database."""
        return name in {"commit", "rollback", "close"} and not self.in_transaction()


@event.listens_for(UnitSession, "before_commit")
def _refuse_to_lose(session: UnitSession) -> None:
    session.refuse_if_spoiled()
