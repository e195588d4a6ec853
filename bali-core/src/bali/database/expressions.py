"""SQL that means the same on every database, where SQLAlchemy's own does not.

LIKE looks at case on PostgreSQL, not on SQLite, and on MariaDB as the collation has it; the
default escape character differs too.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, DateTime, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["LOWER_FUNCTION", "folded_match", "in_utc", "literal_pattern", "text_match"]

#: SQLite's own `lower` knows ASCII alone; each connection gets this one.
LOWER_FUNCTION = "bali_lower"
_TOKEN = re.compile(r"\\(?P<escaped>.)|(?P<any>%)|(?P<one>_)|(?P<plain>.)", re.DOTALL)


class _TextMatch(FunctionElement[bool]):
    """`column LIKE pattern`, with regard to case."""

    name = "bali_text_match"
    type = Boolean()
    inherit_cache = True


class _FoldedMatch(FunctionElement[bool]):
    """`column LIKE pattern`, without regard to case."""

    name = "bali_folded_match"
    type = Boolean()
    inherit_cache = True


class _InUTC(FunctionElement[Any]):
    """A moment as the date and time that a clock in UTC shows."""

    name = "bali_in_utc"
    type = DateTime()
    inherit_cache = True


def text_match(column: Any, pattern: str) -> Any:
    """Return whether a column fits a LIKE pattern; a backslash escapes, case counts."""
    like, glob = _translated(pattern)
    return _TextMatch(column, literal(like, String()), literal(glob, String()))


def folded_match(column: Any, pattern: str) -> Any:
    """Return whether a column fits a LIKE pattern; a backslash escapes, case does not count."""
    return _FoldedMatch(column, literal(_translated(pattern)[0], String()))


def in_utc(column: Any) -> Any:
    """Return a moment for `extract`, whatever the time zone of the connection."""
    return _InUTC(column)


def literal_pattern(text: str) -> str:
    """Return the LIKE pattern that fits `text` alone."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _translated(pattern: str) -> tuple[str, str]:
    """Return a pattern for `LIKE ... ESCAPE '/'`, and one for SQLite's GLOB."""
    like, glob = [], []
    for token in _TOKEN.finditer(pattern):
        if token["any"]:
            like.append("%")
            glob.append("*")
        elif token["one"]:
            like.append("_")
            glob.append("?")
        else:
            char = token["escaped"] or token["plain"]
            like.append(f"/{char}" if char in "/%_" else char)
            glob.append(f"[{char}]" if char in "*?[" else char)
    return "".join(like), "".join(glob)


@compiles(_TextMatch)
def _like(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, like, _ = element.clauses
    left, right = compiler.process(column, **options), compiler.process(like, **options)
    return f"({left} LIKE {right} ESCAPE '/')"


@compiles(_TextMatch, "sqlite")
def _glob(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, _, glob = element.clauses
    left, right = compiler.process(column, **options), compiler.process(glob, **options)
    return f"({left} GLOB {right})"


@compiles(_FoldedMatch)
def _lower_like(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    function = LOWER_FUNCTION if compiler.dialect.name == "sqlite" else "lower"
    left, right = (compiler.process(part, **options) for part in element.clauses)
    return f"({function}({left}) LIKE {function}({right}) ESCAPE '/')"


@compiles(_InUTC)
def _unchanged(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return compiler.process(column, **options)


@compiles(_InUTC, "postgresql")
def _at_time_zone(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return f"({compiler.process(column, **options)} AT TIME ZONE 'UTC')"
