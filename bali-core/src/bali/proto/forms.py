"""Which form of a message field holds which value, and the words for one that does not."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bali.errors import ConfigurationError
from bali.proto.elements import MESSAGE_NAMES, PLAIN_TYPES, SCALARS, TEXT, UUID_VALUE, Element
from bali.proto.enums import enum_element, enum_numbers, plain_enum_element
from bali.proto.names import enum_value_names
from bali.schemas import EnumNode, ListNode, MapNode, Node, Record, Scalar, ScalarKind, UnionNode

__all__ = [
    "VALUE",
    "element_of_enum",
    "element_of_scalar",
    "is_map",
    "misfit",
    "place_of_message",
    "place_of_record",
]

#: The message of any JSON value, which holds every node in its JSON form.
VALUE = "google.protobuf.Value"

_F = FieldDescriptor
_INT_TYPES = PLAIN_TYPES[ScalarKind.INT]
_TYPE_NAMES = {
    getattr(_F, name): name.removeprefix("TYPE_").lower()
    for name in dir(_F)
    if name.startswith("TYPE_")
}


def place_of_message(descriptor: Descriptor) -> str:
    """Return where a message is, for an error."""
    return f"{descriptor.file.name}: message {descriptor.full_name}"


def place_of_record(record: Record) -> str:
    """Return where a record comes from, for an error."""
    if record.type is None:
        return record.name
    return f"{record.type.__module__}.{record.type.__qualname__}"


def element_of_scalar(node: Scalar, target: FieldDescriptor, *, is_response: bool) -> Element:
    """Return how a field holds a scalar; a response's UUIDs are read as such.

    Raises `ConfigurationError` for a field that would lose something.
    """
    element = SCALARS[node.kind]
    if node.kind is ScalarKind.UUID and is_response:
        element = UUID_VALUE
    message = target.message_type
    if message is None:
        if target.type in PLAIN_TYPES.get(node.kind, ()):
            return element
        if target.type == _F.TYPE_STRING and node.kind in TEXT:
            return TEXT[node.kind]
        raise misfit(target, node)
    if message.full_name == MESSAGE_NAMES.get(node.kind):
        return element
    if message.full_name == VALUE:
        return SCALARS[ScalarKind.ANY]
    inner = message.fields_by_name.get("value")
    is_wrapper = message.file.name == "google/protobuf/wrappers.proto" and inner is not None
    if is_wrapper and inner is not None and inner.type in PLAIN_TYPES.get(node.kind, ()):
        return _wrapper_element(element)
    raise misfit(target, node)


def _wrapper_element(element: Element) -> Element:
    """Return the element of a `google.protobuf.Int64Value` or one of its kin."""
    convert, take_raw = element.put, element.take

    def fill(message: Any, value: Any) -> None:
        message.value = convert(value)  # type: ignore[misc]  # of a plain kind

    def take(message: Any) -> Any:
        return take_raw(message.value)

    return Element(None, fill, take)


def element_of_enum(node: EnumNode, target: FieldDescriptor) -> Element:
    """Return how a field holds an enum: by number, or its value as text or int.

    Raises `ConfigurationError` for a field that does not hold every member.
    """
    if target.enum_type is not None:
        numbers = enum_numbers(node, target.enum_type)
        if numbers is None:
            names = enum_value_names(node, target.enum_type.name).values()
            raise ConfigurationError(
                f"{_place_of_field(target)} is enum {target.enum_type.full_name} with "
                f"{', '.join(value.name for value in target.enum_type.values)}; wanted "
                f"{', '.join(names)} for {node.name or 'the Literal'}"
            )
        return enum_element(node, numbers)
    element: Element | None = None
    if target.type == _F.TYPE_STRING:
        element = plain_enum_element(node, str)
    elif target.type in _INT_TYPES:
        element = plain_enum_element(node, int)
    elif target.message_type is not None and target.message_type.full_name == VALUE:
        element = SCALARS[ScalarKind.ANY]
    if element is None:
        raise misfit(target, node)
    return element


def is_map(target: FieldDescriptor) -> bool:
    """Tell whether a field is a map."""
    message = target.message_type
    return message is not None and message.GetOptions().map_entry


def misfit(target: FieldDescriptor, node: Node) -> ConfigurationError:
    """Return the error that says what a field is, and what would hold the value."""
    return ConfigurationError(
        f"{_place_of_field(target)} is {_shown(target)}, which does not hold {_kind(node)} "
        f"without loss; use {_wanted(node)}"
    )


def _place_of_field(target: FieldDescriptor) -> str:
    message = target.containing_type
    place = place_of_message(message) if message is not None else target.full_name
    return f"{place}, field {target.name!r}"


def _shown(target: FieldDescriptor) -> str:
    if is_map(target):
        return "a map"
    named = target.message_type or target.enum_type
    name = named.full_name if named is not None else _TYPE_NAMES[target.type]
    return f"repeated {name}" if target.is_repeated else name


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return f"a value of type {node.kind.value}"
    if isinstance(node, EnumNode):
        return f"the enum {node.name}" if node.name else "a Literal"
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a dict"
    if isinstance(node, UnionNode):
        return "a tagged union"
    return f"the schema {place_of_record(node)}"


def _wanted(node: Node) -> str:
    if isinstance(node, Scalar):
        names = [_TYPE_NAMES[kind] for kind in sorted(PLAIN_TYPES.get(node.kind, ()))]
        if node.kind in MESSAGE_NAMES:
            names.append(MESSAGE_NAMES[node.kind])
        if node.kind in TEXT:
            names.append("string")
        return " or ".join(names)
    if isinstance(node, EnumNode):
        return "an enum with its members"
    if isinstance(node, ListNode):
        return "a repeated field, or a message around one where it may be null or nested"
    if isinstance(node, MapNode):
        return "a map<string, ...>"
    if isinstance(node, UnionNode):
        return "a message with a oneof whose fields are named after the tags"
    return "a message with its fields"
