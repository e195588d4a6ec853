"""The errors of SQLAlchemy and its drivers as ours. No SQL and no parameter gets out.

They are told apart by the code that the driver gives: SQLSTATE of PostgreSQL
(https://www.postgresql.org/docs/current/errcodes-appendix.html), the number of MariaDB and MySQL,
the extended result code of SQLite (https://www.sqlite.org/rescode.html).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import MetaData, exc
from sqlalchemy.orm.exc import StaleDataError

from bali.errors import (
    Aborted,
    AlreadyExists,
    BaliError,
    FailedPrecondition,
    FieldError,
    NotFound,
    ResourceExhausted,
    Unavailable,
    ValidationFailed,
)

__all__ = ["error_for", "is_disconnect", "mapped_errors", "meaning_of"]

_RETRY_SECONDS = 1.0
_DUPLICATE = {"23505", "23P01", 1062, 1586, "SQLITE_CONSTRAINT_UNIQUE",
              "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"}  # fmt: skip
_REFERENCE = {"23001", "23503", 1216, 1217, 1451, 1452, "SQLITE_CONSTRAINT_FOREIGNKEY"}
_MISSING = {"23502", 1048, 1364, "SQLITE_CONSTRAINT_NOTNULL"}
_CHECK = {"23514", 3819, 4025, "SQLITE_CONSTRAINT_CHECK"}
_CONFLICT = {"40001", "40P01", "55P03", 1020, 1205, 1213, "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT",
             "SQLITE_LOCKED"}  # fmt: skip
_BAD_VALUE = {1264, 1265, 1292, 1366, 1367, 1406, 1690, "SQLITE_TOOBIG", "SQLITE_MISMATCH"}
_GONE = {1040, 1053, 1927, 2002, 2003, 2006, 2013, "53300", "57P01", "57P02", "57P03",
         "SQLITE_CANTOPEN", "SQLITE_IOERR"}  # fmt: skip
_FULL = {"53100", 1021, 1114, "SQLITE_FULL"}
_BAD_VALUE_ERRORS = (OverflowError, ValueError, LookupError, ArithmeticError)

_COLUMNS = (
    re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: (.+)\Z"),  # SQLite: table.column, ...
    re.compile(r"(?:Column|Field|for column) '([^']+)'"),  # MariaDB
    re.compile(r"for column (?:`[^`]+`\.)*`([^`]+)`"),  # MariaDB
)
_POSTGRES_KEY = re.compile(r"\(([^()]+)\)=\(")  # in its detail, whatever the language
_MARIADB_KEY = re.compile(r"for key '([^']+)'\W*\Z")


@contextmanager
def mapped_errors(metadata: MetaData | None = None) -> Iterator[None]:
    """Raise ours in place of what goes wrong in a database operation.

    `metadata` tells which columns a constraint is about. What is no error of the database passes
    through.
    """
    try:
        yield
    except Exception as error:
        found = error_for(error, metadata)
        if found is None:
            raise
        raise found from error


def error_for(error: Exception, metadata: MetaData | None) -> BaliError | None:
    """Return what `mapped_errors` raises in place of an error; None for one that passes."""
    return meaning_of(error, metadata) or _outside_sqlalchemy(error)


def meaning_of(error: BaseException, metadata: MetaData | None = None) -> BaliError | None:
    """Return what an error of SQLAlchemy means to a caller, None for a bug and for other errors."""
    if isinstance(error, exc.TimeoutError):
        return Unavailable(
            "Every database connection is in use; try again later",
            reason="POOL_EXHAUSTED",
            retry_after_seconds=_RETRY_SECONDS,
        )
    if isinstance(error, StaleDataError):
        return Aborted()
    if isinstance(error, exc.NoResultFound):
        return NotFound()
    if isinstance(error, exc.DBAPIError):
        return _of_driver(error, metadata)
    if isinstance(error, exc.StatementError) and isinstance(error.orig, _BAD_VALUE_ERRORS):
        return ValidationFailed("A value cannot be stored")
    return None


def is_disconnect(error: BaseException) -> bool:
    """Tell whether the connection was found broken, so that another one may serve."""
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated


def _of_driver(error: exc.DBAPIError, metadata: MetaData | None) -> BaliError | None:  # noqa: PLR0911 - a table of meanings
    code = _code(error.orig)
    if code in _DUPLICATE:
        fields = _fields(error, metadata, "ALREADY_EXISTS", "is taken already")
        return AlreadyExists(field_errors=fields)
    if code in _REFERENCE:
        return FailedPrecondition(
            "Another resource that this one refers to, or that refers to it, stands in the way",
            reason="REFERENCE",
        )
    if code in _MISSING:
        fields = _fields(error, metadata, "REQUIRED", "must have a value")
        return ValidationFailed(field_errors=fields)
    if code in _CHECK:
        return ValidationFailed("A value breaks a rule of the database", reason="CHECK_FAILED")
    if code in _CONFLICT:
        return Aborted(retry_after_seconds=_RETRY_SECONDS)
    if code in _FULL:
        return ResourceExhausted("There is no room left to store this")
    if code in _BAD_VALUE or _is_data_error(error, code):
        fields = _fields(error, metadata, "OUT_OF_RANGE", "cannot be stored")
        return ValidationFailed("A value cannot be stored", field_errors=fields)
    if code in _GONE or error.connection_invalidated or _is_network(error.orig):
        return _unavailable()
    return None


def _outside_sqlalchemy(error: Exception) -> BaliError | None:
    """Return the meaning of what drivers raise past SQLAlchemy: while connecting, and of values."""
    if isinstance(error, BaliError):
        return None
    if isinstance(error, OverflowError) and "too large" in str(error):
        # "Python int too large to convert to SQLite INTEGER": a value to store or to look for;
        # others are of what is stored and cannot be read.
        return ValidationFailed("A value cannot be stored")
    code = getattr(error, "sqlstate", None)
    if isinstance(error, OSError) or code in _GONE or type(error).__module__ == "asyncmy.errors":
        return _unavailable()
    return None


def _unavailable() -> Unavailable:
    return Unavailable(
        "The database cannot be reached", reason="DATABASE", retry_after_seconds=_RETRY_SECONDS
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "orig", None) or error.__cause__


def _code(error: BaseException | None) -> Any:
    """Return what the driver calls the error: SQLSTATE, number, or SQLite's name."""
    for cause in _causes(error):
        if cause.args and isinstance(cause.args[0], int) and not isinstance(cause, OSError):
            return cause.args[0]
        for name in ("sqlstate", "sqlite_errorname"):
            value = getattr(cause, name, None)
            if isinstance(value, str):
                return value
    return None


def _is_data_error(error: exc.DBAPIError, code: Any) -> bool:
    """Tell whether a value does not fit: SQLSTATE class 22, or refused by the driver itself."""
    if isinstance(code, str) and code.startswith("22"):
        return True
    if isinstance(error, exc.DataError):
        return True
    # asyncpg refuses an integer that does not fit before it is sent, without a SQLSTATE.
    return any(type(cause).__name__ == "DataError" for cause in _causes(error.orig))


def _is_network(error: BaseException | None) -> bool:
    return any(isinstance(cause, OSError | asyncio.IncompleteReadError) for cause in _causes(error))


def _fields(
    error: exc.DBAPIError, metadata: MetaData | None, reason: str, description: str
) -> list[FieldError]:
    return [
        FieldError(field=name, reason=reason, description=description)
        for name in _column_names(error, metadata)
    ]


def _column_names(error: exc.DBAPIError, metadata: MetaData | None) -> Sequence[str]:
    """Return the columns that an error is about, by their attributes' names where known."""
    table: str | None = None
    for cause in _causes(error.orig):
        table = table or getattr(cause, "table_name", None)
        column = getattr(cause, "column_name", None)
        if isinstance(column, str):
            return _attributes(metadata, table, [column])
        constraint = getattr(cause, "constraint_name", None)
        if isinstance(constraint, str):
            found = _constrained(metadata, table, constraint)
            match = _POSTGRES_KEY.search(str(getattr(cause, "detail", None)))
            if found or match is None:
                return found
            names = [name.strip(' "') for name in match[1].split(",")]
            return _attributes(metadata, table, names)
    text = str(error.orig)
    key = _MARIADB_KEY.search(text)
    if key:
        table, _, name = key[1].rpartition(".")
        table = table or _table_in(error.statement)
        return _constrained(metadata, table or None, name)
    for pattern in _COLUMNS:
        match = pattern.search(text)
        if match:
            names = [name.strip(' "`') for name in match[1].split(",")]
            table = table or names[0].rpartition(".")[0] or _table_in(error.statement)
            return _attributes(metadata, table, [name.rpartition(".")[2] for name in names])
    return []


_TABLE = re.compile(r"\A\s*(?:INSERT INTO|UPDATE)\s+(?:`?\w+`?\.)?`?(\w+)`?", re.IGNORECASE)


def _table_in(statement: str | None) -> str | None:
    match = _TABLE.match(statement or "")
    return match[1] if match else None


def _constrained(metadata: MetaData | None, table: str | None, constraint: str) -> list[str]:
    """Return the columns of a constraint or unique index that the models declare."""
    for candidate in metadata.tables.values() if metadata is not None else ():
        if table is not None and candidate.name != table:
            continue
        if constraint == "PRIMARY":
            return [_attribute(column) for column in candidate.primary_key.columns]
        items: tuple[Any, ...] = (*candidate.constraints, *candidate.indexes)
        for item in items:
            if item.name is not None and str(item.name) == constraint:
                return [_attribute(column) for column in getattr(item, "columns", ())]
    return []


def _attributes(metadata: MetaData | None, table: str | None, names: list[str]) -> list[str]:
    known = metadata.tables.get(table) if metadata is not None and table else None
    return [
        _attribute(known.columns[name]) if known is not None and name in known.columns else name
        for name in names
    ]


def _attribute(column: Any) -> str:
    return str(column.info.get("bali_attribute", column.name))
