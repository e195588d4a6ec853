"""Messages as schemas and back, for any message: its descriptor decides.

The conversions of single values are those of the server (`bali.proto`), so a value has one form in
Python wherever it is met.
"""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bali.clients.schema import OpenEnum, Schema
from bali.errors import DataLoss, FieldError, ValidationFailed
from bali.proto.elements import MESSAGE_NAMES, SCALARS, Element, same
from bali.proto.forms import is_map
from bali.proto.json_values import fill_struct, fill_value, take_struct, take_value

__all__ = ["KNOWN_MESSAGES", "Codec", "codec_of"]

S = TypeVar("S", bound=Schema)
_F = FieldDescriptor
Read = Callable[[Any], Any]
Write = Callable[[Any, Any], None]

_PLAIN = Element(same, None, same)
_set = object.__setattr__
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in (
        "Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes",
    )
)  # fmt: skip


def _fill_list(message: Any, value: Any) -> None:
    for item in value:
        fill_value(message.values.add(), item)


def _take_list(message: Any) -> list[Any]:
    return [take_value(item) for item in message.values]


def _fill_wrapper(message: Any, value: Any) -> None:
    message.value = value


KNOWN_MESSAGES: Mapping[str, Element] = {
    **{name: SCALARS[kind] for kind, name in MESSAGE_NAMES.items()},
    "google.protobuf.Struct": Element(None, fill_struct, take_struct),
    "google.protobuf.ListValue": Element(None, _fill_list, _take_list),
    "google.protobuf.Any": Element(None, lambda message, value: message.CopyFrom(value), same),
    **{
        name: Element(None, _fill_wrapper, operator.attrgetter("value")) for name in _WRAPPERS
    },
}  # fmt: skip


class Codec(Generic[S]):
    """Converts between one schema and its message."""

    def __init__(self, schema: type[S]) -> None:
        schema.model_rebuild()  # a class that was defined after this one is known by now
        self.schema = schema
        self.message_type = schema.message_type
        descriptor = self.message_type.DESCRIPTOR
        self._names = frozenset(schema.model_fields)
        self._new: Callable[[type[S]], S] = schema.__new__
        self._readers: list[tuple[str, Read]] = []
        self._writers: dict[str, Write] = {}
        self._wire_names = {name: info.alias or name for name, info in schema.model_fields.items()}
        for name, info in schema.model_fields.items():
            field = descriptor.fields_by_name[self._wire_names[name]]
            element = _element(field, info.annotation)
            self._readers.append((name, _reader(field, element)))
            self._writers[name] = _writer(field, element)

    def to_schema(self, message: Message) -> S:
        """Return a message as a schema; protobuf has typed its values, so nothing is validated.

        Raises `DataLoss` for a value that Python has no form for, as the 30th of February.
        """
        made = self._new(self.schema)
        # What `model_construct` does, without looking for defaults and aliases in every field.
        _set(made, "__dict__", {name: read(message) for name, read in self._readers})
        _set(made, "__pydantic_fields_set__", set(self._names))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    def to_message(self, value: S) -> Message:
        """Return a schema as a message; fields that were not set stay unset.

        Raises `ValidationFailed` for a value that the message cannot hold, with the field's name.
        """
        message = self.message_type()
        self.fill(message, value)
        return message

    def fill(self, message: Message, value: S) -> None:
        """Do the same into a message that exists."""
        for name in self._writers.keys() & value.model_fields_set:
            item = getattr(value, name)
            if item is None:
                continue
            try:
                self._writers[name](message, item)
            except ValidationFailed as error:
                raise _within(self._wire_names[name], error) from None
            except (ValueError, TypeError, AttributeError, OverflowError) as error:
                raise _refused(self._wire_names[name], str(error)) from error


def codec_of(schema: type[S]) -> Codec[S]:
    """Return the codec of a schema; made once for each class."""
    found: Codec[S] | None = schema.__dict__.get("__bali_codec__")
    if found is None:
        found = Codec(schema)
        type.__setattr__(schema, "__bali_codec__", found)
    return found


def _refused(field: str, description: str) -> ValidationFailed:
    error = FieldError(field=field, reason="INVALID_VALUE", description=description)
    return ValidationFailed(field_errors=[error])


def _within(name: str, error: ValidationFailed) -> ValidationFailed:
    return ValidationFailed(
        field_errors=[
            FieldError(
                field=f"{name}.{item.field}", reason=item.reason, description=item.description
            )
            for item in error.field_errors
        ]
    )


def _element(field: Any, annotation: Any) -> Element:
    if is_map(field):
        field = field.message_type.fields_by_name["value"]
    if field.type == _F.TYPE_ENUM:
        kind = _class_in(annotation, OpenEnum)
        return Element(int, None, kind)
    if field.type != _F.TYPE_MESSAGE:
        return _PLAIN
    known = KNOWN_MESSAGES.get(field.message_type.full_name)
    if known is not None:
        return known
    schema = _class_in(annotation, Schema)
    return Element(
        None,
        lambda message, value: codec_of(schema).fill(message, value),
        lambda message: codec_of(schema).to_schema(message),
    )


def _class_in(annotation: Any, base: type[Any]) -> Any:
    """Return the class below `base` in an annotation: `User` of `list[User] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, base):
        return annotation
    for part in typing.get_args(annotation):
        found = _class_in(part, base)
        if found is not None:
            return found
    return None


def _reader(field: Any, element: Element) -> Read:
    get = operator.attrgetter(field.name)
    take = element.take
    if field.type == _F.TYPE_MESSAGE and (field.is_repeated or element is not _PLAIN):
        take = _checked(field, take)
    if is_map(field):
        return lambda message: {key: take(item) for key, item in get(message).items()}
    if field.is_repeated:
        return (
            (lambda message: list(get(message)))
            if take is same
            else (lambda message: [take(item) for item in get(message)])
        )
    if field.has_presence:
        name = field.name
        return lambda message: take(get(message)) if message.HasField(name) else None
    return get if take is same else lambda message: take(get(message))


def _checked(field: Any, take: Read) -> Read:
    """Refuse the text that the server's conversions hand on for what Python has no value for."""
    message_type = field.message_type
    if is_map(field):
        message_type = message_type.fields_by_name["value"].message_type
    is_moment = message_type is not None and message_type.full_name in _MOMENTS
    if not is_moment:
        return take

    def read(message: Any) -> Any:
        value = take(message)
        if isinstance(value, str):
            raise DataLoss(f"the answer's field {field.name} has no value in Python: {value}")
        return value

    return read


_MOMENTS = frozenset(MESSAGE_NAMES.values()) - {
    "google.protobuf.Value",
    "google.protobuf.FieldMask",
}


def _writer(field: Any, element: Element) -> Write:
    name: str = field.name
    put: Any = element.put
    fill: Any = element.fill
    if is_map(field):
        return _map_writer(name, put, fill)
    if field.is_repeated:
        if fill is None:
            return lambda message, value: getattr(message, name).extend(map(put, value))
        return lambda message, value: _fill_each(getattr(message, name), fill, value)
    if fill is None:
        return lambda message, value: setattr(message, name, put(value))
    return lambda message, value: _fill_one(getattr(message, name), fill, value)


def _map_writer(name: str, put: Any, fill: Any) -> Write:
    def write(message: Any, value: Any) -> None:
        target = getattr(message, name)
        for key, item in value.items():
            if fill is None:
                target[key] = put(item)
            else:
                fill(target[key], item)

    return write


def _fill_one(target: Any, fill: Write, value: Any) -> None:
    target.SetInParent()
    fill(target, value)


def _fill_each(target: Any, fill: Write, value: Any) -> None:
    for item in value:
        fill(target.add(), item)
