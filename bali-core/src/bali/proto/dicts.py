"""Messages as dicts and back, by the names that users of the first bali know.

As protobuf's own `json_format` does it, except that no number changes its type: an int64 is an int
and not text, a double is a float, and a whole number in a Struct is an int.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bali.proto.forms import is_map

__all__ = ["MessageToDict", "ParseDict"]

M = TypeVar("M", bound=Message)

_F = FieldDescriptor
_WHOLE = (_F.CPPTYPE_INT64, _F.CPPTYPE_UINT64)
_FLOATS = (_F.CPPTYPE_FLOAT, _F.CPPTYPE_DOUBLE)
_WRAPPED_WHOLE = ("google.protobuf.Int64Value", "google.protobuf.UInt64Value")
_JSON = ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue")


def MessageToDict(  # noqa: N802, PLR0917 - the signature of protobuf and of the first bali
    message: Message,
    including_default_value_fields: bool = False,  # noqa: FBT001, FBT002 - the same
    preserving_proto_field_name: bool = False,  # noqa: FBT001, FBT002 - the same
    use_integers_for_enums: bool = False,  # noqa: FBT001, FBT002 - the same
    descriptor_pool: DescriptorPool | None = None,
    float_precision: int | None = None,
) -> dict[str, Any]:
    """Return the fields of a message that are set, or all but absent messages, by name.

    Moments, bytes and enums are text as in protobuf's JSON; names are camelCase unless they are to
    be preserved.
    """
    options: dict[str, Any] = {}
    if float_precision is not None:
        options["float_precision"] = float_precision
    found = json_format.MessageToDict(
        message,
        preserving_proto_field_name=preserving_proto_field_name,
        use_integers_for_enums=use_integers_for_enums,
        descriptor_pool=descriptor_pool,
        always_print_fields_with_no_presence=including_default_value_fields,
        **options,
    )
    descriptor: Any = message.DESCRIPTOR
    restored: dict[str, Any] = _restored_message(found, descriptor, preserving_proto_field_name)
    return restored


def ParseDict(  # noqa: N802 - the name of protobuf and of the first bali
    js_dict: Mapping[str, Any],
    message: M,
    ignore_unknown_fields: bool = False,  # noqa: FBT001, FBT002 - the same
    descriptor_pool: DescriptorPool | None = None,
) -> M:
    """Fill a message from a dict and return it.

    Values may be of Python's types: moments, days, `Decimal`, `UUID`, enums (their names), bytes.
    Raises protobuf's `ParseError` for an unknown field, unless they are ignored, and for a value
    that does not fit.
    """
    json_format.ParseDict(
        _as_json(js_dict),
        message,
        ignore_unknown_fields=ignore_unknown_fields,
        descriptor_pool=descriptor_pool,
    )
    return message


def _restored_message(value: Any, descriptor: Descriptor, is_named_as_written: bool) -> Any:  # noqa: FBT001 - one of three
    name = descriptor.full_name
    if name in _JSON:
        return _with_whole_numbers(value)
    if name in _WRAPPED_WHOLE:
        return int(value)
    if name.startswith("google.protobuf.") or not isinstance(value, dict):
        return value
    for field in descriptor.fields:
        key = field.name if is_named_as_written else field.json_name
        if key in value:
            value[key] = _restored(value[key], field, is_named_as_written)
    return value


def _restored(value: Any, field: FieldDescriptor, is_named_as_written: bool) -> Any:  # noqa: FBT001 - the same
    if is_map(field):
        entry = field.message_type
        inner = entry.fields_by_name["value"] if entry else field
        return {key: _restored(item, inner, is_named_as_written) for key, item in value.items()}
    if field.is_repeated and isinstance(value, list):
        return [_restored_one(item, field, is_named_as_written) for item in value]
    return _restored_one(value, field, is_named_as_written)


def _restored_one(value: Any, field: FieldDescriptor, is_named_as_written: bool) -> Any:  # noqa: FBT001 - the same
    if field.message_type is not None:
        return _restored_message(value, field.message_type, is_named_as_written)
    if field.cpp_type in _WHOLE:
        return int(value)
    return float(value) if field.cpp_type in _FLOATS else value


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
