"""The conversions of single values, one per kind.

Writing raises `ValueError` or `TypeError` for what the message cannot hold. Reading never raises:
what Python has no value for (a Timestamp of the year 10000, the 30th of February, a UUID of three
letters) is handed on as text that validation refuses, so that the caller learns the field's name.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from pydantic import TypeAdapter

from bali.proto.codec import Codec
from bali.proto.compiled import EPOCH, FillRow
from bali.proto.json_values import fill_value, take_value
from bali.schemas import ScalarKind
from bali.schemas.moments import PACKED_EPOCH_SECONDS
from bali.schemas.rows import Rows

__all__ = ["MESSAGE_NAMES", "PLAIN_TYPES", "SCALARS", "TEXT", "UUID_VALUE", "Element", "same"]

_F = FieldDescriptor
_INTS = frozenset({
    _F.TYPE_INT64, _F.TYPE_INT32, _F.TYPE_UINT64, _F.TYPE_UINT32, _F.TYPE_SINT64, _F.TYPE_SINT32,
    _F.TYPE_FIXED64, _F.TYPE_FIXED32, _F.TYPE_SFIXED64, _F.TYPE_SFIXED32,
})  # fmt: skip

#: The protobuf types that hold a plain scalar without loss (a `float` rounds, as it always does).
PLAIN_TYPES: Mapping[ScalarKind, frozenset[int]] = {
    ScalarKind.BOOL: frozenset({_F.TYPE_BOOL}),
    ScalarKind.INT: _INTS,
    ScalarKind.FLOAT: frozenset({_F.TYPE_DOUBLE, _F.TYPE_FLOAT}),
    ScalarKind.STRING: frozenset({_F.TYPE_STRING}),
    ScalarKind.BYTES: frozenset({_F.TYPE_BYTES}),
    ScalarKind.UUID: frozenset({_F.TYPE_STRING}),
}

#: The messages that hold the other scalars.
MESSAGE_NAMES: Mapping[ScalarKind, str] = {
    ScalarKind.DECIMAL: "google.type.Decimal",
    ScalarKind.DATETIME: "google.protobuf.Timestamp",
    ScalarKind.DATE: "google.type.Date",
    ScalarKind.TIME: "google.type.TimeOfDay",
    ScalarKind.TIMEDELTA: "google.protobuf.Duration",
    ScalarKind.ANY: "google.protobuf.Value",
    ScalarKind.FIELD_MASK: "google.protobuf.FieldMask",
}

_MICROSECOND = datetime.timedelta(microseconds=1)
_MAX_NANOS = 999_999_999
#: The range of a Timestamp: the years 1 to 9999 (google/protobuf/timestamp.proto).
_MIN_SECONDS, _MAX_SECONDS = -62_135_596_800, 253_402_300_799
#: The range of a Duration: 10,000 years either way (google/protobuf/duration.proto).
_MAX_DURATION_SECONDS = 315_576_000_000
_read_timedelta = TypeAdapter(datetime.timedelta).validate_python


@dataclass(frozen=True, slots=True)
class Element:
    """How one value gets in and out of a field, whatever field that is.

    A plain field takes what `put(value)` returns; a message is filled by `fill(message, value)`.
    One of the two is None. `take(raw)` returns the Python value of what the field holds.
    `is_value_at_zero`: a zero that was not sent may stand for a value of its own (no enum's does).
    `is_marking`: `fill` makes the message present by itself; `lines` are the same as code, where
    that is worth while, and `packed_lines` for a packed moment (see `Slot`). `row_filler` returns
    what fills it from rows, where it can be.
    `codec` converts a record that is a message of its own.
    """

    put: Callable[[Any], Any] | None
    fill: Callable[[Any, Any], None] | None
    take: Callable[[Any], Any]
    is_value_at_zero: bool = True
    is_marking: bool = False
    lines: tuple[str, ...] = ()
    packed_lines: tuple[str, ...] = ()
    row_filler: Callable[[Rows], FillRow] | None = None
    codec: Codec | None = None


def same(value: Any) -> Any:
    """Return the value; codecs recognise it, and skip the call."""
    return value


def _put_bytes(value: Any) -> bytes:
    # Text is base64, the JSON form of bytes.
    return base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)


def _take_uuid(raw: str) -> Any:
    try:
        return uuid.UUID(raw)
    except ValueError:
        return raw


def _put_uuid(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))


def _fill_decimal(message: Any, value: Any) -> None:
    try:
        number = value if isinstance(value, decimal.Decimal) else decimal.Decimal(value)
    except decimal.InvalidOperation as error:
        raise ValueError(f"{value!r} is no decimal number") from error
    if not number.is_finite():
        raise ValueError(f"{number} is no finite number")
    message.value = str(number)


def _take_decimal(message: Any) -> Any:
    try:
        return decimal.Decimal(message.value)
    except decimal.InvalidOperation:
        return message.value


def _fill_datetime(message: Any, value: Any) -> None:
    try:
        span = value - EPOCH
    except TypeError:
        span = _aware(value) - EPOCH
    seconds = span.days * 86400 + span.seconds
    if not _MIN_SECONDS <= seconds <= _MAX_SECONDS:
        raise ValueError(f"{value} is outside the years 1 to 9999 in UTC")
    message.seconds = seconds
    message.nanos = span.microseconds * 1000


#: The same as code (see `compiled`): one in UTC is within the years.
_DATETIME_LINES = (
    "if {value}.tzinfo is UTC:",
    "    part, span = {part}, {value} - EPOCH",
    "    part.seconds = span.days * 86400 + span.seconds",
    "    part.nanos = span.microseconds * 1000",
    "else:",
    "    {fill}({part}, {value})",
)
#: The same of a packed moment.
_PACKED_LINES = (
    "seconds, micros = divmod(from_bytes({value}, 'big', signed=True), 1000000)",
    f"seconds += {PACKED_EPOCH_SECONDS}",
    f"if {_MIN_SECONDS} <= seconds <= {_MAX_SECONDS}:",
    "    part = {part}",
    "    part.seconds = seconds",
    "    part.nanos = micros * 1000",
    "else:",
    "    {fill}({part}, moment_of({value}))",
)


def _aware(value: Any) -> datetime.datetime:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    moment: datetime.datetime = value
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _take_datetime(message: Any) -> Any:
    seconds, nanos = message.seconds, message.nanos
    if 0 <= nanos <= _MAX_NANOS:
        try:
            # Other languages send nanoseconds; what is finer than Python's microsecond is dropped.
            return EPOCH + datetime.timedelta(0, seconds, nanos // 1000)
        except OverflowError:
            pass
    return f"Timestamp(seconds={seconds}, nanos={nanos})"


def _fill_date(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = datetime.date.fromisoformat(value)
    message.year, message.month, message.day = value.year, value.month, value.day


def _take_date(message: Any) -> Any:
    try:
        return datetime.date(message.year, message.month, message.day)
    except ValueError:
        return f"Date({message.year}-{message.month}-{message.day})"


def _fill_time(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = datetime.time.fromisoformat(value)
    if value.tzinfo is not None:
        raise ValueError("a google.type.TimeOfDay has no time zone; send a time without one")
    message.hours, message.minutes, message.seconds = value.hour, value.minute, value.second
    message.nanos = value.microsecond * 1000


def _take_time(message: Any) -> Any:
    try:
        if 0 <= message.nanos <= _MAX_NANOS:
            return datetime.time(
                message.hours, message.minutes, message.seconds, message.nanos // 1000
            )
    except ValueError:
        pass
    return f"TimeOfDay({message.hours}:{message.minutes}:{message.seconds}, nanos={message.nanos})"


def _fill_timedelta(message: Any, value: Any) -> None:
    if isinstance(value, str):
        value = _read_timedelta(value)
    seconds, micros = divmod(abs(value) // _MICROSECOND, 1_000_000)
    if seconds > _MAX_DURATION_SECONDS:
        raise ValueError(f"{value} is longer than the 10,000 years of a google.protobuf.Duration")
    sign = -1 if value.days < 0 else 1
    message.seconds, message.nanos = sign * seconds, sign * micros * 1000


def _take_timedelta(message: Any) -> Any:
    seconds, nanos = message.seconds, message.nanos
    is_one_sign = (seconds <= 0 and nanos <= 0) or (seconds >= 0 and nanos >= 0)
    if is_one_sign and abs(seconds) <= _MAX_DURATION_SECONDS and abs(nanos) <= _MAX_NANOS:
        micros = -(-nanos // 1000) if nanos < 0 else nanos // 1000
        return datetime.timedelta(0, seconds, micros)
    return f"Duration(seconds={seconds}, nanos={nanos})"


def _fill_mask(message: Any, value: Any) -> None:
    paths = value.split(",") if isinstance(value, str) else value
    message.paths.extend(paths)


def _take_mask(message: Any) -> list[str]:
    return list(message.paths)


#: What each kind is on the wire when the message was built from the tree.
SCALARS: Mapping[ScalarKind, Element] = {
    ScalarKind.BOOL: Element(same, None, same),
    ScalarKind.INT: Element(same, None, same),
    ScalarKind.FLOAT: Element(same, None, same),
    ScalarKind.STRING: Element(same, None, same),
    ScalarKind.BYTES: Element(_put_bytes, None, same),
    # pydantic reads the text of a request faster than `UUID` does.
    ScalarKind.UUID: Element(_put_uuid, None, same),
    ScalarKind.DECIMAL: Element(None, _fill_decimal, _take_decimal),
    ScalarKind.DATETIME: Element(
        None,
        _fill_datetime,
        _take_datetime,
        is_marking=True,
        lines=_DATETIME_LINES,
        packed_lines=_PACKED_LINES,
    ),
    ScalarKind.DATE: Element(None, _fill_date, _take_date, is_marking=True),
    ScalarKind.TIME: Element(None, _fill_time, _take_time),
    ScalarKind.TIMEDELTA: Element(None, _fill_timedelta, _take_timedelta),
    ScalarKind.ANY: Element(None, fill_value, take_value),
    ScalarKind.FIELD_MASK: Element(None, _fill_mask, _take_mask),
}

#: A UUID as the caller of a method gets it.
UUID_VALUE = Element(_put_uuid, None, _take_uuid)


def _put_moment(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return str(value.isoformat())


#: The kinds that a hand-written .proto may hold as text without loss.
TEXT: Mapping[ScalarKind, Element] = {
    ScalarKind.DECIMAL: Element(str, None, same),
    ScalarKind.DATETIME: Element(_put_moment, None, same),
    ScalarKind.DATE: Element(_put_moment, None, same),
    ScalarKind.TIME: Element(_put_moment, None, same),
}
