"""Column types that keep every value exact on SQLite, PostgreSQL and MariaDB alike."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Interval, Numeric, String, Text, Time
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["Duration", "ExactNumeric", "UTCDateTime", "make_exact"]

_MYSQL = ("mysql", "mariadb")
_BINARY = "utf8mb4_bin"
_MICROSECOND = datetime.timedelta(microseconds=1)


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """A moment: stored in UTC with microseconds, always aware when read.

    A naive value is taken as UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type with microseconds that the database has."""
        if dialect.name in _MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        """Return the value in UTC; without a zone where the database keeps none."""
        if value is None:
            return None
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        value = value.astimezone(datetime.UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        """Return the value as an aware time in UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.UTC)
        return value.astimezone(datetime.UTC)


class ExactNumeric(TypeDecorator[decimal.Decimal]):
    """A decimal number without rounding; on SQLite an integer of its smallest unit.

    Without a scale SQLite stores text, which is exact but sorts as text.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return an integer or text for SQLite, the database's own decimal otherwise."""
        if dialect.name != "sqlite":
            return dialect.type_descriptor(Numeric(self.precision, self.scale))
        return dialect.type_descriptor(String() if self.scale is None else BigInteger())

    def process_bind_param(self, value: decimal.Decimal | None, dialect: Dialect) -> Any:
        """Return what the driver takes."""
        if value is None:
            return None
        value = decimal.Decimal(value)
        if dialect.name != "sqlite":
            return value
        if self.scale is None:
            return str(value)
        return int(value.scaleb(self.scale, _WIDE).to_integral_value())

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:
        """Return the decimal."""
        if value is None:
            return None
        if dialect.name == "sqlite" and self.scale is not None:
            return decimal.Decimal(value).scaleb(-self.scale, _WIDE)
        return decimal.Decimal(value)


class Duration(TypeDecorator[datetime.timedelta]):
    """A span of time, as an integer of microseconds."""

    impl = BigInteger
    cache_ok = True

    @property
    def python_type(self) -> type[Any]:
        """The Python type of its values."""
        return datetime.timedelta

    def process_bind_param(self, value: datetime.timedelta | None, dialect: Dialect) -> int | None:
        """Return microseconds."""
        del dialect
        return None if value is None else value // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> Any:
        """Return the span."""
        del dialect
        return None if value is None else value * _MICROSECOND


_WIDE = decimal.Context(prec=200)


def make_exact(column: Column[Any]) -> None:
    """Replace the type of a column by one that loses nothing on any database."""
    kind = column.type
    if isinstance(kind, TypeDecorator):
        return
    if isinstance(kind, DateTime):
        column.type = UTCDateTime()
    elif isinstance(kind, Interval):
        column.type = Duration()
    elif isinstance(kind, Time):
        column.type = kind.with_variant(mysql.TIME(fsp=6), *_MYSQL)
    elif type(kind) is Numeric and getattr(kind, "asdecimal", False):
        column.type = ExactNumeric(kind.precision, kind.scale)
    elif type(kind) is Text:
        column.type = kind.with_variant(mysql.TEXT(collation=_BINARY), *_MYSQL)
    elif type(kind) is String:
        binary: Any = (
            mysql.VARCHAR(kind.length, collation=_BINARY)
            if kind.length
            else mysql.TEXT(collation=_BINARY)
        )
        column.type = kind.with_variant(binary, *_MYSQL)
