"""The rules for single values that hold on every protocol.

Whole numbers have 64 bits, other numbers are finite, text is Unicode without NUL, a time of day has
no zone, a duration has at most 10,000 years, and a datetime is in UTC: one without a zone is taken
as UTC, one with another zone is converted.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, RootModel

from bali.errors import FieldError

__all__ = ["MAX_NAME_LENGTH", "check_values"]

#: How much of the name of a field an error repeats; callers may send names of any length.
MAX_NAME_LENGTH = 200

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
#: The range of google.protobuf.Duration.
_MAX_DURATION = datetime.timedelta(seconds=315_576_000_000)


@dataclass(slots=True)
class _Problem:
    """A value that breaks a rule; `parts` is the path to it, innermost part first."""

    reason: str
    description: str
    parts: list[str | int] = field(default_factory=list)

    def path(self) -> str:
        path = ""
        for part in reversed(self.parts):
            separator = "." if path and isinstance(part, str) else ""
            path += f"{separator}{part}" if isinstance(part, str) else f"[{part}]"
        return path[:MAX_NAME_LENGTH]


def check_values(model: BaseModel, *, allow_nul: bool = False) -> list[FieldError]:
    """Return what breaks a rule in an object and all it contains; put its datetimes into UTC.

    The object is changed in place, also when it is frozen, so that what it knows about its fields
    stays. `allow_nul` is for answers, where NUL does no harm.
    """
    problems: list[_Problem] = []
    _check_model(model, problems)
    if not problems:
        return []
    return [
        FieldError(field=problem.path(), reason=problem.reason, description=problem.description)
        for problem in problems
        if not (allow_nul and problem.reason == "NUL_CHARACTER")
    ]


def _check(value: Any, problems: list[_Problem]) -> Any:
    check = _CHECKS.get(type(value))
    if check is not None:
        return check(value, problems)
    if isinstance(value, BaseModel):
        _check_model(value, problems)
        return value
    if isinstance(value, enum.Enum):
        return value
    for base in _BASES:
        if isinstance(value, base):
            return _CHECKS[base](value, problems)
    if isinstance(value, Mapping):
        return _mapping(value, problems)
    return value


def _check_model(model: BaseModel, problems: list[_Problem]) -> None:
    is_root = isinstance(model, RootModel)
    for values in (model.__dict__, model.__pydantic_extra__ or {}):
        for name, value in values.items():
            kind = type(value)
            if value is None or kind is bool:
                continue
            if kind is str and value.isascii() and "\x00" not in value:
                continue
            if kind is int and _INT64_MIN <= value <= _INT64_MAX:
                continue
            known = len(problems)
            checked = _check(value, problems)
            if checked is not value:
                values[name] = checked
            if len(problems) > known and not is_root:
                info = type(model).model_fields.get(name)
                _prefix(problems, known, (info and info.alias) or name)


def _prefix(problems: list[_Problem], known: int, part: str | int) -> None:
    for problem in problems[known:]:
        problem.parts.append(part)


def _text(value: str, problems: list[_Problem]) -> str:
    if "\x00" in value:
        problems.append(_Problem("NUL_CHARACTER", "must not contain the character NUL"))
    elif not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            problems.append(_Problem("INVALID_UNICODE", "must not contain lone surrogates"))
    return value


def _int(value: int, problems: list[_Problem]) -> int:
    if not _INT64_MIN <= value <= _INT64_MAX:
        problems.append(_Problem("INT64_RANGE", "must be a 64-bit signed integer"))
    return value


def _float(value: float, problems: list[_Problem]) -> float:
    if not math.isfinite(value):
        problems.append(_Problem("FINITE_NUMBER", "must be a finite number"))
    return value


def _decimal(value: decimal.Decimal, problems: list[_Problem]) -> decimal.Decimal:
    if not value.is_finite():
        problems.append(_Problem("FINITE_NUMBER", "must be a finite number"))
    return value


def _datetime(value: datetime.datetime, problems: list[_Problem]) -> datetime.datetime:
    if value.tzinfo is datetime.UTC:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    try:
        return value.astimezone(datetime.UTC)
    except OverflowError:
        problems.append(_Problem("DATETIME_RANGE", "must be in the years 1 to 9999 of UTC"))
        return value


def _time(value: datetime.time, problems: list[_Problem]) -> datetime.time:
    if value.tzinfo is not None:
        problems.append(_Problem("TIME_ZONE", "must be a time of day without a zone"))
    return value


def _timedelta(value: datetime.timedelta, problems: list[_Problem]) -> datetime.timedelta:
    if abs(value) > _MAX_DURATION:
        problems.append(_Problem("DURATION_RANGE", "must be at most 10,000 years"))
    return value


def _sequence(value: Any, problems: list[_Problem]) -> Any:
    checked, is_changed = [], False
    for number, item in enumerate(value):
        known = len(problems)
        checked.append(_check(item, problems))
        is_changed = is_changed or checked[-1] is not item
        if len(problems) > known:
            _prefix(problems, known, number)
    if not is_changed:
        return value
    for container in (tuple, set, frozenset):
        if isinstance(value, container):
            return container(checked)
    return checked


def _mapping(value: Mapping[Any, Any], problems: list[_Problem]) -> Mapping[Any, Any]:
    checked, is_changed = {}, False
    for key, item in value.items():
        _check(key, problems)
        known = len(problems)
        checked[key] = _check(item, problems)
        is_changed = is_changed or checked[key] is not item
        if len(problems) > known:
            _prefix(problems, known, str(key))
    return checked if is_changed else value


def _any(value: Any, _problems: list[_Problem]) -> Any:
    return value


_CHECKS: Mapping[type, Callable[[Any, list[_Problem]], Any]] = {
    type(None): _any,
    bool: _any,
    str: _text,
    int: _int,
    float: _float,
    bytes: _any,
    decimal.Decimal: _decimal,
    datetime.datetime: _datetime,
    datetime.date: _any,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    list: _sequence,
    tuple: _sequence,
    set: _sequence,
    frozenset: _sequence,
    dict: _mapping,
}
#: For objects of their subclasses; `datetime` is before `date`.
_BASES = tuple(base for base in _CHECKS if base not in (type(None), bool))
