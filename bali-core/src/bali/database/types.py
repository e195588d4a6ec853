"""Column types that keep every value exact on SQLite, PostgreSQL and MariaDB alike.

`make_exact` puts them in place of SQLAlchemy's own, so a model declares `Mapped[datetime]`,
`Numeric(10, 2)` or `String(50)` as always.
"""

from __future__ import annotations

import datetime
import decimal
import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    Float,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Text,
    Time,
    Uuid,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = [
    "OWN_TYPES",
    "BinaryText",
    "Duration",
    "ExactNumeric",
    "UTCDateTime",
    "coercion_of",
    "gives_exact_values",
    "in_utc",
    "make_exact",
]

_MYSQL = ("mysql", "mariadb")
_MICROSECOND = datetime.timedelta(microseconds=1)
_WIDE = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_UP)
#: What a decimal column holds that was declared without a precision: the most that MariaDB can.
_FREE_DIGITS, _FREE_SCALE = 65, 30
_MAX_INTEGER_DIGITS = 18


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """A moment: stored in UTC with microseconds, always aware when read.

    A naive value is taken as UTC. SQLite and MariaDB keep no zone: they hold the UTC value without
    one.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[Any]:
        """The Python type of its values."""
        return datetime.datetime

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
        if value.tzinfo is not datetime.UTC:
            value = self.coerce(value)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return what makes each value aware and UTC: one function, since lists call it most."""
        driver = self.load_dialect_impl(dialect).result_processor(dialect, coltype)
        return in_utc if driver is None else functools.partial(_read_in_utc, driver)

    @staticmethod
    def coerce(value: datetime.datetime) -> datetime.datetime:
        """Return the same moment, aware and in UTC."""
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.UTC)
        return value.astimezone(datetime.UTC)


def in_utc(value: datetime.datetime | None) -> datetime.datetime | None:
    """Return what asyncpg reads, which is in UTC but for the first and the last moment."""
    zone = datetime.UTC if value is None else value.tzinfo
    if zone is datetime.UTC:
        return value
    return UTCDateTime.coerce(value)  # type: ignore[arg-type]  # it is not None


def _read_in_utc(driver: Callable[[Any], Any], value: Any) -> datetime.datetime | None:
    read: datetime.datetime | None = driver(value)
    if read is None or read.tzinfo is datetime.UTC:
        return read
    return read.replace(tzinfo=datetime.UTC) if read.tzinfo is None else UTCDateTime.coerce(read)


class ExactNumeric(TypeDecorator[decimal.Decimal]):
    """A decimal number without loss.

    SQLite has no decimals. There it is an integer of the smallest unit when it has at most 18
    digits, else text of a form that sorts like the number. Declared without precision and scale
    it holds 65 digits, 30 of them after the point, and is read without trailing zeros.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    @property
    def python_type(self) -> type[Any]:
        """The Python type of its values."""
        return decimal.Decimal

    @property
    def is_free(self) -> bool:
        """Whether neither precision nor scale was declared."""
        return self.precision is None and self.scale is None

    @property
    def digits(self) -> int:
        """How many digits a value may have."""
        return self.precision if self.precision is not None else _FREE_DIGITS

    @property
    def places(self) -> int:
        """How many digits after the point a value may have."""
        return _FREE_SCALE if self.is_free else self.scale or 0

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's own decimal, or an integer or text for SQLite."""
        if dialect.name == "sqlite":
            kind = BigInteger() if self._is_integer else String(self.digits + 1)
            return dialect.type_descriptor(kind)
        if dialect.name in _MYSQL:
            return dialect.type_descriptor(Numeric(self.digits, self.places))
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Return the type of a value that a column is compared with: it is not rounded."""
        del op, value
        return _Operand(self.precision, self.scale)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return what the driver takes, rounded to the scale. Raises `ValueError`."""
        if value is None:
            return None
        number = self.coerce(value)
        units = int(number.scaleb(self.places, _WIDE))
        if abs(units) >= 10**self.digits:
            raise ValueError(f"a number of more than {self.digits} digits")
        return self._encoded(units) if dialect.name == "sqlite" else number

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:
        """Return the decimal."""
        if value is None:
            return None
        if dialect.name != "sqlite":
            return self.coerce(value)
        units = self._decoded(value) if isinstance(value, str) else value
        return self.coerce(decimal.Decimal(str(units)).scaleb(-self.places, _WIDE))

    def coerce(self, value: Any) -> decimal.Decimal:
        """Return a number as it is after it was stored. Raises `ValueError` if it is none."""
        try:
            number = value if isinstance(value, decimal.Decimal) else decimal.Decimal(str(value))
            if not number.is_finite():
                raise ValueError("not a finite number")
            number = number.quantize(decimal.Decimal(1).scaleb(-self.places), context=_WIDE)
        except decimal.InvalidOperation:
            raise ValueError("not a decimal number") from None
        return _plain(number) if self.is_free else number

    @property
    def _is_integer(self) -> bool:
        return self.digits <= _MAX_INTEGER_DIGITS

    def _encoded(self, units: int) -> int | str:
        if self._is_integer:
            return units
        sign = "1" if units >= 0 else "0"
        return f"{sign}{units % 10**self.digits:0{self.digits}d}"

    def _decoded(self, text: str) -> int:
        units = int(text[1:])
        return units if text[0] == "1" else units - 10**self.digits


class _Operand(ExactNumeric):
    """A number that a column is compared with; finer than the column it equals no value of it."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return a type that the database does not round to."""
        if dialect.name == "sqlite":
            return super().load_dialect_impl(dialect)
        return dialect.type_descriptor(Numeric())

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Return this type."""
        del op, value
        return self

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return what the driver takes, not rounded."""
        if value is None:
            return None
        number = decimal.Decimal(str(value))
        if dialect.name != "sqlite":
            return number
        exact = number.scaleb(self.places, _WIDE)
        units = int(exact.to_integral_value(decimal.ROUND_FLOOR))
        limit = 10**self.digits
        if abs(exact) >= limit:  # beyond every value of the column
            if self._is_integer:
                return limit if exact > 0 else -limit
            return "2" if exact > 0 else "0"
        if self._is_integer:
            return units if exact == units else units + 0.5
        return f"{self._encoded(units)}{'' if exact == units else '5'}"


class Duration(TypeDecorator[datetime.timedelta]):
    """A span of time: PostgreSQL's interval, elsewhere an integer of microseconds."""

    impl = BigInteger
    cache_ok = True

    @property
    def python_type(self) -> type[Any]:
        """The Python type of its values."""
        return datetime.timedelta

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return PostgreSQL's interval or an integer."""
        kind = Interval() if dialect.name == "postgresql" else BigInteger()
        return dialect.type_descriptor(kind)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Return this type."""
        del op, value
        return self

    def process_bind_param(self, value: datetime.timedelta | None, dialect: Dialect) -> Any:
        """Return microseconds, or the span itself for PostgreSQL."""
        if value is None or dialect.name == "postgresql":
            return value
        return value // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.timedelta | None:
        """Return the span."""
        if value is None or dialect.name == "postgresql":
            return value  # type: ignore[no-any-return]  # PostgreSQL's driver gives the span
        return int(value) * _MICROSECOND


class BinaryText(TypeDecorator[str]):
    """MariaDB's and MySQL's text that is compared character by character, trailing spaces too.

    Their default compares "a", "A" and "a " as equal. Without a length it holds up to 4 GiB.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the text type with a binary collation without padding."""
        is_mariadb = getattr(dialect, "is_mariadb", False)
        collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        if self.length is None:
            return dialect.type_descriptor(mysql.LONGTEXT(collation=collation))
        return dialect.type_descriptor(mysql.VARCHAR(self.length, collation=collation))


#: The types whose values are those of SQLAlchemy's own.
OWN_TYPES = (BinaryText, Duration, ExactNumeric, UTCDateTime)


def gives_exact_values(kind: TypeEngine[Any]) -> bool:
    """Tell whether a value that is read is of the very class that the column's type tells.

    A type that somebody else has written may give objects of a subclass, or of another class.
    """
    is_known = type(kind) in OWN_TYPES or type(kind).__module__.startswith("sqlalchemy.")
    return is_known and all(map(gives_exact_values, kind._variant_mapping.values()))  # noqa: SLF001 - there is no public way to it


def make_exact(column: Column[Any]) -> None:
    """Replace the type of a column by one that loses nothing on any database."""
    kind = column.type
    # SQLAlchemy's own Interval is a decorator; `_variant_mapping` is what `with_variant` has made.
    is_chosen = isinstance(kind, TypeDecorator) and not isinstance(kind, Interval)
    found = None if is_chosen or kind._variant_mapping else _exact(kind)  # noqa: SLF001 - see above
    if isinstance(kind, JSON) and column.nullable:
        kind.none_as_null = True  # None is NULL, as in any other column
    if found is not None:
        column.type = found


def coercion_of(column: Column[Any]) -> Any:
    """Return the function that makes a value what it is when it is read back; None for most."""
    kind = column.type
    return kind.coerce if isinstance(kind, UTCDateTime | ExactNumeric) else None


def _exact(kind: TypeEngine[Any]) -> TypeEngine[Any] | None:  # noqa: PLR0911 - one line for each type
    if isinstance(kind, DateTime):
        return UTCDateTime()
    if isinstance(kind, Interval):
        return Duration()
    if isinstance(kind, Time):
        return kind.with_variant(mysql.TIME(fsp=6), *_MYSQL)
    if type(kind) is Float and kind.precision is None and not kind.asdecimal:
        return Double()
    if type(kind) is Numeric and kind.asdecimal:
        return ExactNumeric(kind.precision, kind.scale)
    if type(kind) in {String, Text} and isinstance(kind, String) and not kind.collation:
        return kind.with_variant(BinaryText(kind.length), *_MYSQL)
    if type(kind) is Uuid:  # MariaDB's own refuses some, and sorts by the parts
        return kind.with_variant(Uuid(as_uuid=kind.as_uuid, native_uuid=False), *_MYSQL)  # type: ignore[call-overload]  # of a flag not known here
    if type(kind) is LargeBinary:
        return kind.with_variant(mysql.LONGBLOB(), *_MYSQL)
    return None


def _plain(number: decimal.Decimal) -> decimal.Decimal:
    """Return a number without zeros after its last digit and without an exponent."""
    number = number.normalize(_WIDE)
    if int(number.as_tuple().exponent) > 0:
        return number.quantize(decimal.Decimal(1), context=_WIDE)
    return number
