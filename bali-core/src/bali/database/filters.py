"""Filters by name: `username="ann"`, `age__gte=18`, `username__istartswith="a"`.

Names are looked up among the model's columns and the operators below; values are bound parameters.
Text is compared with regard to case, except by the operators that begin with `i`, on every
database. As in SQL, a row without a value fits no operator but `isnull=True` and `exact=None`.
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Len
from sqlalchemy import ColumnElement, and_, extract, false

from bali.database.columns import annotation_of, columns_of, is_input_only, python_type
from bali.database.expressions import folded_match, in_utc, literal_pattern, text_match
from bali.errors import ConfigurationError

__all__ = ["OPERATORS", "filter_types", "get_filters_expr"]

_NULL = {"exact", "ne", "isnull"}
_MANY = {"in", "notin"}
_TEXT = {
    "like", "ilike", "startswith", "istartswith", "endswith", "iendswith", "contains",
}  # fmt: skip
_PARTS = {"year", "month", "day"}
_ORDERED = {"gt", "gte", "lt", "lte", "between"}
_UNORDERED_TYPES = (bool, bytes, uuid.UUID, enum.Enum)


def _between(column: Any, value: Any) -> Any:
    low, high = value
    return column.between(low, high)


def _year(column: Any, value: int) -> Any:
    if not datetime.MINYEAR <= value <= datetime.MAXYEAR:
        return false()
    is_moment = issubclass(python_type(_column(column)), datetime.datetime)
    start: Any = datetime.date(value, 1, 1)
    end: Any = datetime.date(value, 12, 31)
    if is_moment:
        start = datetime.datetime(value, 1, 1, tzinfo=datetime.UTC)
        end = datetime.datetime(value, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC)
    return and_(column >= start, column <= end)


def _part(field: str) -> Callable[[Any, Any], Any]:
    def compare(column: Any, value: int) -> Any:
        is_moment = issubclass(python_type(_column(column)), datetime.datetime)
        return extract(field, in_utc(column) if is_moment else column) == value

    return compare


def _pattern(
    before: str, after: str, match: Callable[[Any, str], Any]
) -> Callable[[Any, Any], Any]:
    return lambda column, value: match(column, f"{before}{literal_pattern(value)}{after}")


#: Each operator makes a condition of a column and a value.
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "exact": lambda column, value: column.is_(None) if value is None else column == value,
    "ne": lambda column, value: column.is_not(None) if value is None else column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "in": lambda column, value: column.in_(list(value)),
    "notin": lambda column, value: and_(column.not_in(list(value)), column.is_not(None)),
    "between": _between,
    "like": text_match,
    "ilike": folded_match,
    "startswith": _pattern("", "%", text_match),
    "istartswith": _pattern("", "%", folded_match),
    "endswith": _pattern("%", "", text_match),
    "iendswith": _pattern("%", "", folded_match),
    "contains": _pattern("%", "%", text_match),
    "isnull": lambda column, value: column.is_(None) if value else column.is_not(None),
    "year": _year,
    "month": _part("month"),
    "day": _part("day"),
}


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
    given: Any = declared  # whatever a resource class has there
    is_list = isinstance(given, Iterable) and not isinstance(given, str)
    if not is_list or not all(isinstance(name, str) for name in given):
        raise ConfigurationError(f"{where}: {declared!r} must be a list of names")
    return {name: _annotation(model, name, where) for name in declared}


def _column(attribute: Any) -> Any:
    return attribute.property.columns[0]


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
    if value is None and operator not in _NULL:
        return false()  # as in SQL: nothing is known to compare like that with null
    return OPERATORS[operator](getattr(model, field), value)


def _annotation(model: type[Any], name: str, where: str) -> Any:
    field, operator = _split(model, name, where)
    column = columns_of(model)[field]
    if is_input_only(column):
        raise ConfigurationError(
            f"{where}: {name!r}: column {field!r} is input-only, and no filter may tell of it"
        )
    if operator == "isnull":
        return bool
    kind = python_type(column)
    is_choice = getattr(kind, "__origin__", None) is Literal
    if operator in _PARTS:
        if not (isinstance(kind, type) and issubclass(kind, datetime.date)):
            raise _senseless(where, name, operator, "dates and times")
        return int
    if operator in _TEXT:
        if kind is not str:
            raise _senseless(where, name, operator, "text")
        return str
    if kind is Any or kind in (dict, list):
        raise _senseless(where, name, operator, "columns with single values")
    is_unordered = is_choice or (isinstance(kind, type) and issubclass(kind, _UNORDERED_TYPES))
    if operator in _ORDERED and is_unordered:
        raise _senseless(where, name, operator, "numbers, text, dates and times")
    return _of_values(operator, column, kind, where=f"{where}: {name!r}")


def _of_values(operator: str, column: Any, kind: Any, *, where: str) -> Any:
    # A text that is longer than the column is found nowhere; a number beyond it is a mistake.
    found: Any = kind if kind in (str, bytes) else annotation_of(column, where=where)
    if operator == "between":
        return Annotated[list[found], Len(2, 2)]
    return list[found] if operator in _MANY else found


def _senseless(where: str, name: str, operator: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {name!r}: {operator!r} is for {wanted} only")
