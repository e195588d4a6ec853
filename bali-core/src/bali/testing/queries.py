"""Counting what a database is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from bali.database import Database

__all__ = ["QueryCount", "at_most_queries", "count_queries"]

#: What begins, ends or divides a transaction asks for nothing.
_OF_TRANSACTIONS = re.compile(
    r"\s*(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE
)
_MAX_SHOWN_LENGTH = 500


class QueryCount:
    """The statements that were sent to a database; still to be read when counting has ended.

    One that is executed with many rows at once is one statement.
    """

    def __init__(self) -> None:
        self._statements: list[str] = []

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self._statements)

    @property
    def statements(self) -> Sequence[str]:
        """Their SQL, in the order in which they were sent."""
        return tuple(self._statements)

    def add(self, statement: str) -> None:
        """Take note of a statement, unless it is one of the transaction itself."""
        if not _OF_TRANSACTIONS.match(statement):
            self._statements.append(statement)

    def __str__(self) -> str:
        lines = (" ".join(statement.split())[:_MAX_SHOWN_LENGTH] for statement in self.statements)
        return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


@contextmanager
def count_queries(db: Database) -> Iterator[QueryCount]:
    """Count the statements that are sent to `db` while the block runs.

    Those of every event loop and thread count, as those of a `live_server` that answers in another
    thread; beginning and ending transactions, and savepoints, do not.
    """
    counted = QueryCount()

    def note(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if db.has_engine(connection.engine):
            counted.add(statement)

    # On the class, since an event loop may make its engine only now.
    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@contextmanager
def at_most_queries(db: Database, limit: int) -> Iterator[QueryCount]:
    """Count as `count_queries` does, and raise `AssertionError` for more than `limit` statements.

    The message lists them. An exception of the block itself goes before it.
    """
    with count_queries(db) as counted:
        yield counted
    if counted.count > limit:
        raise AssertionError(
            f"{counted.count} statements were sent, {limit} at most were expected:\n{counted}"
        )
