"""JSON values as `google.protobuf.Value` and `Struct`.

A `Value` knows one kind of number, the double. So that an integer stays one: a number without a
fraction, up to 2**53 either way, is read as an int (a float like 1.0 becomes 1); an int that a
double cannot hold is written as its decimal text, as protobuf's own JSON mapping writes an int64.
NaN and infinity are refused, since JSON has neither. Every other Python value is written in the
JSON form that pydantic gives it (bytes as base64).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

__all__ = ["fill_struct", "fill_value", "take_struct", "take_value"]

_MAX_EXACT = 2**53


def fill_value(message: Any, value: Any) -> None:
    """Put any JSON-like value into a `google.protobuf.Value`.

    Raises `ValueError` for NaN, infinity, and what has no JSON form.
    """
    if value is None:
        message.null_value = 0
    elif isinstance(value, enum.Enum):
        fill_value(message, value.value)
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        _fill_number(message, value)
    elif isinstance(value, Mapping):
        message.struct_value.SetInParent()
        fill_struct(message.struct_value, value)
    elif isinstance(value, list | tuple | set | frozenset):
        message.list_value.SetInParent()
        add = message.list_value.values.add
        for item in value:
            fill_value(add(), item)
    else:
        fill_value(message, _json_form(value))


def fill_struct(message: Any, value: Any) -> None:
    """Put a mapping, or an object whose JSON form is one, into a `google.protobuf.Struct`."""
    if not isinstance(value, Mapping):
        value = _json_form(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"{type(value).__name__} is no JSON object")
    fields = message.fields
    for key, item in value.items():
        fill_value(fields[_key(key)], item)


def take_value(message: Any) -> Any:
    """Return the Python value of a `google.protobuf.Value`; one that is not set is None."""
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return message.string_value
    if kind == "number_value":
        number = message.number_value
        if number.is_integer() and -_MAX_EXACT <= number <= _MAX_EXACT:
            return int(number)
        return number
    if kind == "bool_value":
        return message.bool_value
    if kind == "struct_value":
        return take_struct(message.struct_value)
    if kind == "list_value":
        return [take_value(item) for item in message.list_value.values]
    return None


def take_struct(message: Any) -> dict[str, Any]:
    """Return the dict that a `google.protobuf.Struct` holds."""
    return {key: take_value(item) for key, item in message.fields.items()}


def _fill_number(message: Any, value: float) -> None:
    if isinstance(value, int) and not -_MAX_EXACT <= value <= _MAX_EXACT:
        message.string_value = str(value)
    elif math.isfinite(value):
        message.number_value = value
    else:
        raise ValueError(f"{value} has no form in JSON")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    return key if isinstance(key, str) else str(key)


def _json_form(value: Any) -> Any:
    try:
        return to_jsonable_python(value, by_alias=True, bytes_mode="base64")
    except PydanticSerializationError as error:
        raise ValueError(f"{type(value).__name__} has no form in JSON") from error
