"""The columns of a model, and the types of their values."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen
from pydantic import AfterValidator, Field
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Enum,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Uuid,
)
from sqlalchemy.types import TypeDecorator

from bali.database.types import ExactNumeric, UTCDateTime
from bali.errors import ConfigurationError

__all__ = [
    "annotation_of",
    "columns_of",
    "integer_range",
    "is_input_only",
    "is_sortable",
    "python_type",
]

_PLAIN = (bool, float, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)


def columns_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the columns of a model by attribute name, in order of declaration."""
    hashable: Any = model
    return _columns(hashable)


@functools.lru_cache(maxsize=1024)
def _columns(model: type[Any]) -> Mapping[str, Any]:
    mapper: Any = model.__mapper__
    return {
        attribute.key: attribute.columns[0]
        for attribute in mapper.column_attrs
        if hasattr(attribute.columns[0], "table")
    }


def python_type(column: Any) -> Any:
    """Return the type of a column's values.

    Raises `NotImplementedError` for a type that does not say.
    """
    kind = column.type
    if isinstance(kind, Uuid):
        return uuid.UUID if kind.as_uuid else str
    if isinstance(kind, Enum) and kind.enum_class is None:
        return Literal[tuple(kind.enums)]
    if isinstance(kind, JSON | ARRAY):
        return Any
    found = kind.python_type
    if found is object and isinstance(kind, TypeDecorator):
        return kind.impl_instance.python_type
    return found


@functools.lru_cache(maxsize=1024)
def integer_range(column: Any) -> tuple[int, int]:
    """Return the least and the greatest integer that a column holds."""
    kind = column.type
    if isinstance(kind, SmallInteger):
        bits = 16
    elif isinstance(kind, Integer) and not isinstance(kind, BigInteger):
        bits = 32
    else:
        bits = 64
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def is_input_only(column: Any) -> bool:
    """Tell whether callers set a column and never see it."""
    return bool(column.info.get("input_only"))


def is_sortable(column: Any) -> bool:
    """Tell whether rows can be sorted by a column, on every database and page by page."""
    return not isinstance(column.type, JSON | ARRAY | LargeBinary)


def annotation_of(column: Any, *, where: str) -> Any:
    """Return the annotation of a column's values, with the limits that the column sets.

    Raises `ConfigurationError`, beginning with `where`, for a type that one of the protocols
    cannot carry.
    """
    kind = column.type
    try:
        python = python_type(column)
    except NotImplementedError:
        raise _unsupported(where, column) from None
    if python is Any or getattr(python, "__origin__", None) is Literal:
        return python
    found = _limited(python, kind, column) if isinstance(python, type) else None
    if found is None:
        raise _unsupported(where, column)
    return found


def _limited(python: type[Any], kind: Any, column: Any) -> Any:
    if issubclass(python, enum.Enum):
        return python
    if python in (str, bytes):
        length = getattr(kind, "length", None)
        return Annotated[python, MaxLen(length)] if length else python
    if python is int:
        low, high = integer_range(column)
        return Annotated[int, Ge(low), Le(high)]
    if python is decimal.Decimal:
        return _decimal(kind)
    if python is datetime.datetime:
        return Annotated[datetime.datetime, AfterValidator(_in_utc)]
    if python in _PLAIN:
        return python
    return Any if python in (dict, list) else None


def _decimal(kind: Any) -> Any:
    if not isinstance(kind, ExactNumeric):
        if not isinstance(kind, Numeric) or kind.scale is None:
            return decimal.Decimal
        kind = ExactNumeric(kind.precision, kind.scale)
    limits = Field(max_digits=kind.digits, decimal_places=kind.places, allow_inf_nan=False)
    return Annotated[decimal.Decimal, limits, AfterValidator(kind.coerce)]


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    try:
        return UTCDateTime.coerce(value)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC") from None


def _unsupported(where: str, column: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: a column of type {column.type!r} has no form on both protocols; leave it out "
        "with model_to_schema(..., exclude=[...]), or declare it with another type"
    )
