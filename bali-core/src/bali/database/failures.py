"""The errors of SQLAlchemy and its drivers as ours. No SQL and no parameter gets out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import exc

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

__all__ = ["mapped"]

_RETRY_SECONDS = 1.0
# SQLSTATE of PostgreSQL, errno of MariaDB and MySQL, extended error names of SQLite.
_DUPLICATE = {"23505", 1062, 1586, "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
_REFERENCE = {"23503", 1451, 1452, 1216, 1217, "SQLITE_CONSTRAINT_FOREIGNKEY"}
_MISSING = {"23502", 1048, 1364, "SQLITE_CONSTRAINT_NOTNULL"}
_CHECK = {"23514", 3819, 4025, "SQLITE_CONSTRAINT_CHECK"}
_CONFLICT = {"40001", "40P01", "55P03", 1205, 1213, 1020, "SQLITE_BUSY", "SQLITE_LOCKED"}
_BAD_VALUE = {1264, 1265, 1292, 1366, 1406, 1690, "SQLITE_TOOBIG", "SQLITE_MISMATCH"}
_GONE = {2002, 2003, 2006, 2013, 1040, 1053, "57P01", "57P02", "57P03", "53300"}
_FULL = {"53100", 1114, 1021, "SQLITE_FULL"}
_COLUMNS = (
    re.compile(r"Key \(([^)]+)\)="),  # PostgreSQL
    re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: [\w$]+\.([\w$]+)"),  # SQLite
    re.compile(r'column "([\w$]+)"'),
    re.compile(r"Column '([\w$]+)'"),  # MariaDB
    re.compile(r"for column (?:`[^`]+`\.)*`([\w$]+)`"),
    re.compile(r"Field '([\w$]+)'"),
)


@contextmanager
def mapped() -> Iterator[None]:
    """Raise ours in place of the errors of SQLAlchemy and of the drivers below it."""
    try:
        yield
    except BaliError:
        raise
    except exc.SQLAlchemyError as error:
        found = _meaning(error)
        if found is None:
            raise
        raise found from error
    except (ConnectionError, OSError) as error:
        if isinstance(error, ConnectionError) or getattr(error, "errno", None) is not None:
            raise _unavailable() from error
        raise


def _meaning(error: exc.SQLAlchemyError) -> BaliError | None:
    if isinstance(error, exc.TimeoutError):
        return Unavailable(
            "Every database connection is in use; try again later",
            reason="POOL_EXHAUSTED",
            retry_after_seconds=_RETRY_SECONDS,
        )
    if isinstance(error, exc.NoResultFound):
        return NotFound()
    if not isinstance(error, exc.DBAPIError):
        return None
    code = _code(error.orig)
    cause = error.orig.__cause__ if error.orig is not None else None
    text = f"{error.orig} {getattr(cause, 'detail', '')}"
    if code in _DUPLICATE:
        return AlreadyExists(field_errors=_fields(text, "ALREADY_EXISTS", "is taken already"))
    if code in _REFERENCE:
        return FailedPrecondition(
            "Another resource that this one refers to, or that refers to it, stands in the way",
            reason="REFERENCE",
        )
    if code in _MISSING:
        return ValidationFailed(field_errors=_fields(text, "REQUIRED", "must have a value"))
    if code in _CHECK:
        return ValidationFailed("A value breaks a rule of the database", reason="CHECK_FAILED")
    if code in _CONFLICT:
        return Aborted(retry_after_seconds=_RETRY_SECONDS)
    if code in _FULL:
        return ResourceExhausted("There is no room left to store this")
    if code in _BAD_VALUE or (isinstance(code, str) and code.startswith("22")):
        return ValidationFailed(field_errors=_fields(text, "OUT_OF_RANGE", "cannot be stored"))
    if isinstance(error, exc.DataError):
        return ValidationFailed(field_errors=_fields(text, "OUT_OF_RANGE", "cannot be stored"))
    if code in _GONE or error.connection_invalidated or _is_network(error.orig):
        return _unavailable()
    return None


def _unavailable() -> Unavailable:
    return Unavailable(
        "The database cannot be reached", reason="DATABASE", retry_after_seconds=_RETRY_SECONDS
    )


def _code(error: Any) -> Any:
    """Return what the driver calls the error: SQLSTATE, errno, or SQLite's name."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        arguments = getattr(error, "args", ())
        if arguments and isinstance(arguments[0], int) and not isinstance(error, OSError):
            return arguments[0]
        for name in ("sqlstate", "sqlite_errorname"):
            value = getattr(error, name, None)
            if isinstance(value, str):
                return value
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return None


def _is_network(error: Any) -> bool:
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__
    return False


def _fields(text: str, reason: str, description: str) -> list[FieldError]:
    for pattern in _COLUMNS:
        match = pattern.search(text)
        if match:
            names = [name.strip(' "`') for name in match[1].split(",")]
            return [
                FieldError(field=name, reason=reason, description=description) for name in names
            ]
    return []
