"""How one single value becomes part of a message, and comes back.

An element is plain (a Python value that a message field takes) or a message of its own that is
filled. What comes back is never refused here: a value that Python cannot hold (a day that does not
exist, a number that is none) is handed on as text, so that validation names its field.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from bali.schemas import EnumNode, ScalarKind

__all__ = ["PLAIN_TYPES", "SCALARS", "TEXT", "Element", "enum_element", "struct_element"]

_F = FieldDescriptor
_INTS = frozenset({
    _F.TYPE_INT64, _F.TYPE_INT32, _F.TYPE_UINT64, _F.TYPE_UINT32, _F.TYPE_SINT64, _F.TYPE_SINT32,
    _F.TYPE_FIXED64, _F.TYPE_FIXED32, _F.TYPE_SFIXED64, _F.TYPE_SFIXED32,
})  # fmt: skip

#: The protobuf types that hold a plain scalar without loss.
PLAIN_TYPES: Mapping[ScalarKind, frozenset[int]] = {
    ScalarKind.BOOL: frozenset({_F.TYPE_BOOL}),
    ScalarKind.INT: _INTS,
    ScalarKind.FLOAT: frozenset({_F.TYPE_DOUBLE, _F.TYPE_FLOAT}),
    ScalarKind.STRING: frozenset({_F.TYPE_STRING}),
    ScalarKind.BYTES: frozenset({_F.TYPE_BYTES}),
    ScalarKind.UUID: frozenset({_F.TYPE_STRING}),
}

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Element:
    """`put(value)` returns what a plain field takes; `fill(message, value)` fills a message.

    `take(raw)` returns the Python value of a plain field's value or of a message.
    """

    put: Callable[[Any], Any] | None
    fill: Callable[[Any, Any], None] | None
    take: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)


def _fill_decimal(message: Any, value: Any) -> None:
    message.value = str(value)


def _take_decimal(message: Any) -> Any:
    try:
        return decimal.Decimal(message.value)
    except decimal.InvalidOperation:
        return message.value or "0?"


def _fill_datetime(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    seconds, micros = divmod((value - _EPOCH) // _MICROSECOND, 1_000_000)
    message.seconds, message.nanos = seconds, micros * 1000
    message.SetInParent()


def _take_datetime(message: Any) -> Any:
    try:
        return _EPOCH + datetime.timedelta(
            seconds=message.seconds, microseconds=message.nanos // 1000
        )
    except OverflowError:
        return f"timestamp of {message.seconds} seconds"


def _fill_date(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = datetime.date.fromisoformat(value)
    message.year, message.month, message.day = value.year, value.month, value.day


def _take_date(message: Any) -> Any:
    try:
        return datetime.date(message.year, message.month, message.day)
    except (ValueError, OverflowError):
        return f"{message.year}-{message.month}-{message.day}"


def _fill_time(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = datetime.time.fromisoformat(value)
    if value.tzinfo is not None:
        raise ValueError("a time of day has no time zone in protobuf")
    message.hours, message.minutes, message.seconds = value.hour, value.minute, value.second
    message.nanos = value.microsecond * 1000
    message.SetInParent()


def _take_time(message: Any) -> Any:
    try:
        return datetime.time(
            message.hours, message.minutes, message.seconds, message.nanos // 1000
        )
    except (ValueError, OverflowError):
        return f"time {message.hours}:{message.minutes}:{message.seconds}"


def _fill_timedelta(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = parse_duration(value)
    micros = value // _MICROSECOND
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    message.seconds, message.nanos = sign * seconds, sign * rest * 1000
    message.SetInParent()


def _take_timedelta(message: Any) -> Any:
    try:
        micros = int(message.nanos / 1000)
        return datetime.timedelta(seconds=message.seconds, microseconds=micros)
    except OverflowError:
        return f"duration of {message.seconds} seconds"


def parse_duration(text: str) -> datetime.timedelta:
    """Return the timedelta of an ISO 8601 duration in days and smaller units."""
    sign = -1 if text.startswith("-") else 1
    body = text.lstrip("+-").removeprefix("P")
    days, _, clock = body.partition("T")
    total = datetime.timedelta(days=float(days.removesuffix("D") or 0))
    number = ""
    for char in clock:
        if char.isalpha():
            total += datetime.timedelta(
                **{{"H": "hours", "M": "minutes", "S": "seconds"}[char]: float(number)}
            )
            number = ""
        else:
            number += char
    return sign * total


def _fill_any(message: Any, value: Any) -> None:
    if value is None:
        message.null_value = 0
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError("NaN and infinity have no form in JSON")
        message.number_value = value
    elif isinstance(value, Mapping):
        fields = message.struct_value.fields
        message.struct_value.SetInParent()
        for key, item in value.items():
            _fill_any(fields[str(key)], item)
    elif isinstance(value, list | tuple | set | frozenset):
        message.list_value.SetInParent()
        for item in value:
            _fill_any(message.list_value.values.add(), item)
    elif hasattr(value, "model_dump"):
        _fill_any(message, value.model_dump(mode="json"))
    elif isinstance(value, datetime.datetime | datetime.date | datetime.time):
        message.string_value = value.isoformat()
    elif isinstance(value, enum.Enum):
        _fill_any(message, value.value)
    else:
        message.string_value = str(value)


def _take_any(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _take_any(item) for key, item in message.struct_value.fields.items()}
    if kind == "list_value":
        return [_take_any(item) for item in message.list_value.values]
    if kind in (None, "null_value"):
        return None
    value = getattr(message, kind)
    if kind == "number_value" and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def _fill_mask(message: Any, value: Any) -> None:
    paths = value.split(",") if isinstance(value, str) else value
    message.paths.extend(paths)
    message.SetInParent()


def _take_mask(message: Any) -> Any:
    return list(message.paths)


def _fill_struct(message: Any, value: Any) -> None:
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    for key, item in dumped.items():
        _fill_any(message.fields[key], item)


def _take_struct(message: Any) -> Any:
    return {key: _take_any(item) for key, item in message.fields.items()}


#: The plain kinds, and those that are messages with the full name of the message.
SCALARS: Mapping[ScalarKind, tuple[str | None, Element]] = {
    ScalarKind.BOOL: (None, Element(_same, None, _same)),
    ScalarKind.INT: (None, Element(_same, None, _same)),
    ScalarKind.FLOAT: (None, Element(_same, None, _same)),
    ScalarKind.STRING: (None, Element(_same, None, _same)),
    ScalarKind.BYTES: (None, Element(_bytes, None, _same)),
    ScalarKind.UUID: (None, Element(str, None, _same)),
    ScalarKind.DECIMAL: ("google.type.Decimal", Element(None, _fill_decimal, _take_decimal)),
    ScalarKind.DATETIME: (
        "google.protobuf.Timestamp",
        Element(None, _fill_datetime, _take_datetime),
    ),
    ScalarKind.DATE: ("google.type.Date", Element(None, _fill_date, _take_date)),
    ScalarKind.TIME: ("google.type.TimeOfDay", Element(None, _fill_time, _take_time)),
    ScalarKind.TIMEDELTA: (
        "google.protobuf.Duration",
        Element(None, _fill_timedelta, _take_timedelta),
    ),
    ScalarKind.ANY: ("google.protobuf.Value", Element(None, _fill_any, _take_any)),
    ScalarKind.FIELD_MASK: ("google.protobuf.FieldMask", Element(None, _fill_mask, _take_mask)),
}


def _to_text(value: Any) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


#: The kinds that a hand-written .proto may hold as text without loss.
TEXT: Mapping[ScalarKind, Element] = {
    kind: Element(_to_text, None, _same)
    for kind in (
        ScalarKind.DECIMAL,
        ScalarKind.DATETIME,
        ScalarKind.DATE,
        ScalarKind.TIME,
        ScalarKind.UUID,
    )
}


def struct_element() -> Element:
    """Return the element that holds a whole record in a `google.protobuf.Struct`."""
    return Element(None, _fill_struct, _take_struct)


def enum_element(node: EnumNode, numbers: Mapping[str, int]) -> Element:
    """Return the element of an enum; `numbers` maps the names of members to protobuf numbers."""
    by_value: dict[Any, int] = {}
    by_number: dict[int, Any] = {}
    for name, value in node.members:
        number = numbers[name]
        by_number[number] = value
        by_value[value] = number
        if node.type is not None:
            by_value[node.type[name]] = number

    def put(value: Any) -> int:
        return by_value[value]

    def take(number: int) -> Any:
        # The text is no value of any enum, so validation refuses it and names the field.
        return by_number[number] if number in by_number else f"enum value {number}"

    return Element(put, None, take)


def enum_numbers(node: EnumNode, descriptor: EnumDescriptor, name_of: Any) -> dict[str, int] | None:
    """Return the number of each member, by its plain or prefixed name; None when one is missing."""
    values = {value.name.upper(): value.number for value in descriptor.values}
    numbers: dict[str, int] = {}
    for member, _ in node.members:
        prefixed = name_of(descriptor.name, member)
        plain = prefixed.removeprefix(name_of(descriptor.name, "x").removesuffix("X"))
        number = values.get(prefixed, values.get(plain, values.get(member.upper())))
        if number is None:
            return None
        numbers[member] = number
    return numbers


