"""Filters by name: `username="ann"`, `age__gte=18`, `username__istartswith="a"`.

Names are looked up among the model's columns and operators below; values are bound parameters. Text
is compared case by case except with the operators that begin with `i`, on every database.
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Len
from sqlalchemy import JSON, ColumnElement, Uuid, extract, func
from sqlalchemy.types import TypeDecorator

from bali.errors import ConfigurationError

__all__ = [
    "OPERATORS",
    "column_of",
    "columns_of",
    "filter_types",
    "get_filters_expr",
    "python_type",
]

_MANY = {"in", "notin", "between"}
_TEXT = {
    "like", "ilike", "startswith", "istartswith", "endswith", "iendswith", "contains",
}  # fmt: skip
_PARTS = {"year", "month", "day"}
_ORDERED = {"gt", "gte", "lt", "lte", "between"}
_UNORDERED_TYPES = (bool, bytes, uuid.UUID, enum.Enum)


def _between(column: Any, value: Any) -> Any:
    low, high = value
    return column.between(low, high)


def _part(field: str) -> Callable[[Any, Any], Any]:
    return lambda column, value: extract(field, column) == value


def _lowered(column: Any, value: str) -> Any:
    return func.lower(column).like(func.lower(value))


def _pattern(before: str, after: str, *, lowered: bool = False) -> Callable[[Any, Any], Any]:
    def compare(column: Any, value: str) -> Any:
        escaped = value.replace("/", "//").replace("%", "/%").replace("_", "/_")
        text = f"{before}{escaped}{after}"
        if lowered:
            return func.lower(column).like(func.lower(text), escape="/")
        return column.like(text, escape="/")

    return compare


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "exact": lambda column, value: column.is_(None) if value is None else column == value,
    "ne": lambda column, value: column.is_not(None) if value is None else column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "in": lambda column, value: column.in_(list(value)),
    "notin": lambda column, value: column.not_in(list(value)),
    "between": _between,
    "like": lambda column, value: column.like(value),
    "ilike": _lowered,
    "startswith": _pattern("", "%"),
    "istartswith": _pattern("", "%", lowered=True),
    "endswith": _pattern("%", ""),
    "iendswith": _pattern("%", "", lowered=True),
    "contains": _pattern("%", "%"),
    "isnull": lambda column, value: column.is_(None) if value else column.is_not(None),
    "year": _part("year"),
    "month": _part("month"),
    "day": _part("day"),
}


def columns_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the columns of a model by attribute name, in order of declaration."""
    return {
        attribute.key: attribute.columns[0]
        for attribute in model.__mapper__.column_attrs
        if hasattr(attribute.columns[0], "table")
    }


def column_of(model: type[Any], name: str) -> Any:
    """Return the mapped attribute of a column, None when the model has none of this name."""
    return getattr(model, name) if name in columns_of(model) else None


def python_type(column: Any) -> Any:
    """Return the type of a column's values."""
    if isinstance(column.type, Uuid):
        return uuid.UUID if column.type.as_uuid else str
    if isinstance(column.type, JSON):
        return Any
    found = column.type.python_type
    if found is object and isinstance(column.type, TypeDecorator):
        return column.type.impl_instance.python_type
    return found


def get_filters_expr(model: type[Any], **filters: Any) -> list[ColumnElement[bool]]:
    """Return the conditions of filters, for `select(...).where(*...)`.

    Raises `ConfigurationError` for a name that is no column and no operator.
    """
    return [_condition(model, name, value) for name, value in filters.items()]


def filter_types(model: type[Any], declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
    """Return the annotation of each declared filter.

    Raises `ConfigurationError`, beginning with `where`, for a field or operator that does not
    exist, and for an operator that makes no sense for the column.
    """
    if isinstance(declared, str):
        raise ConfigurationError(f"{where}: {declared!r} must be a list of names")
    return {name: _annotation(model, name, where) for name in declared}


def _split(model: type[Any], name: str, where: str) -> tuple[str, str]:
    columns = columns_of(model)
    if name in columns:
        return name, "exact"
    field, _, operator = name.rpartition("__")
    if field not in columns:
        raise ConfigurationError(
            f"{where}: {model.__name__} has no column {field or name!r}; it has "
            f"{', '.join(columns)}"
        )
    if operator not in OPERATORS:
        raise ConfigurationError(
            f"{where}: there is no operator {operator!r} in {name!r}; use one of "
            f"{', '.join(OPERATORS)}"
        )
    return field, operator


def _condition(model: type[Any], name: str, value: Any) -> Any:
    field, operator = _split(model, name, "filters")
    return OPERATORS[operator](getattr(model, field), value)


def _annotation(model: type[Any], name: str, where: str) -> Any:
    field, operator = _split(model, name, where)
    column = columns_of(model)[field]
    kind = python_type(column)
    if operator == "isnull":
        return bool
    if operator in _PARTS:
        if not (isinstance(kind, type) and issubclass(kind, datetime.date)):
            raise _senseless(where, name, operator, "dates and times")
        return int
    if operator in _TEXT and kind is not str:
        raise _senseless(where, name, operator, "text")
    if kind is Any or kind in (dict, list):
        raise _senseless(where, name, operator, "columns with single values")
    if operator in _ORDERED and isinstance(kind, type) and issubclass(kind, _UNORDERED_TYPES):
        raise _senseless(where, name, operator, "numbers, text, dates and times")
    if operator == "between":
        return Annotated[list[kind], Len(2, 2)]  # type: ignore[valid-type]  # made at run time
    if operator in _MANY:
        return list[kind]  # type: ignore[valid-type]  # made at run time
    return kind


def _senseless(where: str, name: str, operator: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {name!r}: {operator!r} is for {wanted} only")
