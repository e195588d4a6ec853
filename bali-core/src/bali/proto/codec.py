"""Binding a record to a message: the conversions, compiled once.

The same binder serves messages that were built from the tree and messages of a hand-written .proto;
what does not fit is refused when the service starts, with the file, message and field named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pydantic import BaseModel

from bali.errors import ConfigurationError
from bali.proto.descriptors import enum_value_name
from bali.proto.elements import (
    PLAIN_TYPES,
    SCALARS,
    TEXT,
    Element,
    enum_element,
    enum_numbers,
    struct_element,
)
from bali.schemas import EnumNode, Field, ListNode, MapNode, Node, Record, Scalar, ScalarKind
from bali.schemas import UnionNode

__all__ = ["Binder", "Codec", "Direction"]

#: The names that messages of the first bali have for fields of ours, and the other way round.
_REQUEST_NAMES = {"page_size": "limit", "skip": "offset", "order_by": "ordering", "id": "pk"}
_RESPONSE_NAMES = {"items": "data", "total": "count", "result": "data"}

_MESSAGE = FieldDescriptor.TYPE_MESSAGE
Setter = Callable[[Any, Any], None]
Getter = Callable[[Any, dict[str, Any]], None]


class Direction:
    """Which way a message goes; decides which fields must fit."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(slots=True)
class _Slot:
    """One field: how it is read from a Python value, and how it gets in and out of a message."""

    name: str
    wire_name: str
    put: Setter
    take: Getter


class Codec:
    """Converts between Python values of one record and one message type."""

    __slots__ = ("_by_wire_name", "_names", "_slots", "_takes")

    def __init__(self) -> None:
        self._slots: tuple[_Slot, ...] = ()
        self._takes: tuple[Getter, ...] = ()
        self._names: tuple[tuple[str, Setter], ...] = ()
        self._by_wire_name: dict[str, Setter] = {}

    def fill(self, message: Any, value: Any) -> None:
        """Put an object with the record's attributes, or a mapping by wire name, into a message.

        None and absent values leave a field unset. Raises `ValueError` or `TypeError` for a value
        that the field cannot hold.
        """
        if isinstance(value, Mapping):
            for name, item in value.items():
                put = self._by_wire_name.get(name)
                if put is not None and item is not None:
                    put(message, item)
            return
        for name, put in self._names:
            item = getattr(value, name)
            if item is not None:
                put(message, item)

    def take(self, message: Any) -> dict[str, Any]:
        """Return the fields that are present, by wire name. Never raises."""
        values: dict[str, Any] = {}
        for take in self._takes:
            take(message, values)
        return values

    def complete(self, slots: list[_Slot]) -> None:
        """Set the fields; a codec is made empty so that a record can contain itself."""
        self._slots = tuple(slots)
        self._takes = tuple(slot.take for slot in slots)
        self._names = tuple((slot.name, slot.put) for slot in slots)
        self._by_wire_name = {slot.wire_name: slot.put for slot in slots}


class Binder:
    """Binds the records of one service; remembers what it has bound.

    `is_partial`: the message is of an update, where an empty list or a zero without presence says
    nothing.
    """

    def __init__(self, direction: str, *, is_partial: bool = False) -> None:
        self._direction = direction
        self._is_partial = is_partial
        self._codecs: dict[tuple[int, str], Codec] = {}

    def bind(self, record: Record, descriptor: Descriptor) -> Codec:
        """Return the codec of a record and a message.

        Raises `ConfigurationError` when a field of one has no fitting counterpart in the other.
        """
        key = (id(record), descriptor.full_name)
        known = self._codecs.get(key)
        if known is not None:
            return known
        codec = self._codecs[key] = Codec()
        fields = descriptor.fields_by_name
        used: set[str] = set()
        slots: list[_Slot] = []
        for field in record.fields:
            target = self._target(field, fields)
            if target is not None:
                used.add(target.name)
                slots.append(self._slot(field, target, descriptor))
            elif self._direction == Direction.REQUEST:
                slots.extend(self._inline(field, fields, used, descriptor))
        self._refuse_unused(record, descriptor, used)
        codec.complete(slots)
        return codec

    def _target(self, field: Field, fields: Mapping[str, Any]) -> Any:
        names = _REQUEST_NAMES if self._direction == Direction.REQUEST else _RESPONSE_NAMES
        target = fields.get(field.wire_name)
        if target is None and field.wire_name in names:
            target = fields.get(names[field.wire_name])
        return target

    def _inline(
        self, field: Field, fields: Mapping[str, Any], used: set[str], descriptor: Descriptor
    ) -> list[_Slot]:
        """Bind a body whose fields stand in the request itself, as in the first bali's protos."""
        names = (
            {item.wire_name for item in field.node.fields} & fields.keys()
            if isinstance(field.node, Record)
            else set()
        ) - used
        if not names:
            if field.is_required:
                raise ConfigurationError(
                    f"{_where(descriptor)}: no field {field.wire_name!r}, which the request needs; "
                    f"it has {', '.join(fields) or 'none'}"
                )
            return []
        assert isinstance(field.node, Record)
        part = Record(name=field.node.name, type=field.node.type).fill(
            tuple(item for item in field.node.fields if item.wire_name in names)
        )
        inner = Codec()
        inner.complete(
            [self._slot(item, fields[item.wire_name], descriptor) for item in part.fields]
        )
        used |= names
        wire_name = field.wire_name

        def take(message: Any, values: dict[str, Any]) -> None:
            values[wire_name] = inner.take(message)

        return [_Slot(field.name, wire_name, inner.fill, take)]

    def _refuse_unused(self, record: Record, descriptor: Descriptor, used: set[str]) -> None:
        unused = [name for name in descriptor.fields_by_name if name not in used]
        if unused:
            known = ", ".join(field.wire_name for field in record.fields) or "no fields"
            raise ConfigurationError(
                f"{_where(descriptor)}: field {unused[0]!r} has no counterpart in "
                f"{_record_name(record)}, which has {known}"
            )

    # -- fields --------------------------------------------------------------------------------

    def _slot(self, field: Field, target: FieldDescriptor, descriptor: Descriptor) -> _Slot:
        where = f"{_where(descriptor)}, field {target.name!r}"
        name, wire_name = target.name, field.wire_name
        node = field.node
        if _is_map(target):
            if not isinstance(node, MapNode):
                raise _misfit(where, "a map", node)
            put, take = self._map(node, target, where)
        elif target.is_repeated:
            if not isinstance(node, ListNode):
                raise _misfit(where, "repeated", node)
            put, take = self._list(node, target, where, is_required=field.is_required)
        else:
            put, take = self._one(self._element(node, target, where), target, field)
        del name
        return _Slot(
            name=field.name,
            wire_name=wire_name,
            put=put,
            take=_into(take, wire_name),
        )

    def _one(
        self, element: Element, target: FieldDescriptor, field: Field
    ) -> tuple[Setter, Callable[[Any], Any]]:
        name, convert, fill, take_raw = target.name, element.put, element.fill, element.take

        def put_plain(message: Any, value: Any) -> None:
            setattr(message, name, convert(value))  # type: ignore[misc]  # plain: not None

        def put_message(message: Any, value: Any) -> None:
            part = getattr(message, name)
            part.SetInParent()
            fill(part, value)  # type: ignore[misc]  # a message: not None

        def take_present(message: Any) -> Any:
            return take_raw(getattr(message, name)) if message.HasField(name) else _ABSENT

        def take_always(message: Any) -> Any:
            return take_raw(getattr(message, name))

        def take_nonzero(message: Any) -> Any:
            raw = getattr(message, name)
            return take_raw(raw) if raw else _ABSENT

        put = put_plain if fill is None else put_message
        if target.has_presence:
            return put, take_present
        is_certain = self._direction == Direction.RESPONSE or field.is_required
        if is_certain and not self._is_partial and target.enum_type is None:
            return put, take_always
        return put, take_nonzero

    def _list(
        self, node: ListNode, target: FieldDescriptor, where: str, *, is_required: bool
    ) -> tuple[Setter, Callable[[Any], Any]]:
        element = self._item(node.item, node.is_item_nullable, target, where)
        name, convert, fill, take_raw = target.name, element.put, element.fill, element.take
        keeps_empty = (is_required or self._direction == Direction.RESPONSE) and not (
            self._is_partial and self._direction == Direction.REQUEST
        )

        def put_plain(message: Any, value: Any) -> None:
            getattr(message, name).extend([convert(item) for item in value])  # type: ignore[misc]  # plain

        def put_messages(message: Any, value: Any) -> None:
            add = getattr(message, name).add
            for item in value:
                fill(add(), item)  # type: ignore[misc]  # messages

        def take(message: Any) -> Any:
            raw = getattr(message, name)
            return [take_raw(item) for item in raw] if keeps_empty or raw else _ABSENT

        return (put_plain if fill is None else put_messages), take

    def _map(
        self, node: MapNode, target: FieldDescriptor, where: str
    ) -> tuple[Setter, Callable[[Any], Any]]:
        assert target.message_type is not None
        entry = target.message_type.fields_by_name["value"]
        if target.message_type.fields_by_name["key"].type != FieldDescriptor.TYPE_STRING:
            raise _misfit(where, "a map with keys that are no strings", node)
        element = self._item(node.value, node.is_value_nullable, entry, where)
        name, convert, fill, take_raw = target.name, element.put, element.fill, element.take
        keeps_empty = self._direction == Direction.RESPONSE

        def put(message: Any, value: Any) -> None:
            entries = getattr(message, name)
            if fill is None:
                for key, item in value.items():
                    entries[key] = convert(item)  # type: ignore[misc]  # plain
            else:
                for key, item in value.items():
                    entries[key].SetInParent()
                    fill(entries[key], item)

        def take(message: Any) -> Any:
            raw = getattr(message, name)
            if not raw and not keeps_empty:
                return _ABSENT
            return {key: take_raw(item) for key, item in raw.items()}

        return put, take

    # -- elements ------------------------------------------------------------------------------

    def _item(
        self, node: Node, is_nullable: bool, target: FieldDescriptor, where: str
    ) -> Element:
        """Return the element of one item of a list or map, which may sit in a wrapper."""
        if not is_nullable and not isinstance(node, ListNode | MapNode):
            return self._element(node, target, where)
        return self._wrapped(node, target, where)

    def _element(self, node: Node, target: FieldDescriptor, where: str) -> Element:
        if isinstance(node, ListNode | MapNode):
            return self._wrapped(node, target, where)
        if isinstance(node, Scalar):
            return _scalar(node, target, where)
        if isinstance(node, EnumNode):
            return _enum(node, target, where)
        if target.type != _MESSAGE or target.message_type is None:
            raise _misfit(where, _type_name(target), node)
        if isinstance(node, UnionNode):
            return self._union(node, target.message_type)
        if target.message_type.full_name == "google.protobuf.Struct":
            return struct_element()
        codec = self.bind(node, target.message_type)
        return Element(None, codec.fill, codec.take)

    def _wrapped(self, node: Node, target: FieldDescriptor, where: str) -> Element:
        if target.type != _MESSAGE or target.message_type is None:
            raise _misfit(where, _type_name(target), node)
        fields = list(target.message_type.fields)
        if len(fields) != 1:
            raise _misfit(where, f"message {target.message_type.full_name}", node)
        slot = self._slot(
            Field(name=fields[0].name, node=node, is_nullable=True), fields[0], target.message_type
        )
        is_many = isinstance(node, ListNode | MapNode)
        empty: Any = {} if isinstance(node, MapNode) else []

        def fill(message: Any, value: Any) -> None:
            if value is not None:
                slot.put(message, value)

        def take(message: Any) -> Any:
            values: dict[str, Any] = {}
            slot.take(message, values)
            return values.get(slot.wire_name, type(empty)() if is_many else None)

        return Element(None, fill, take)

    def _union(self, node: UnionNode, descriptor: Descriptor) -> Element:
        discriminator = node.discriminator
        codecs: dict[str, Codec] = {}
        for variant in node.variants:
            field = descriptor.fields_by_name.get(variant.tag)
            if field is None or field.message_type is None:
                raise ConfigurationError(
                    f"{_where(descriptor)}: no message field {variant.tag!r} for the variant "
                    f"{variant.record.name}"
                )
            codecs[variant.tag] = self.bind(variant.record, field.message_type)
        oneof = descriptor.oneofs[0].name

        def fill(message: Any, value: Any) -> None:
            is_mapping = isinstance(value, Mapping)
            tag = value[discriminator] if is_mapping else getattr(value, discriminator)
            part = getattr(message, tag)
            part.SetInParent()
            codecs[tag].fill(part, value)

        def take(message: Any) -> Any:
            tag = message.WhichOneof(oneof)
            if tag is None:
                return {}
            return {**codecs[tag].take(getattr(message, tag)), discriminator: tag}

        return Element(None, fill, take)


_ABSENT: Any = object()


def _into(take: Callable[[Any], Any], name: str) -> Getter:
    def into(message: Any, values: dict[str, Any]) -> None:
        value = take(message)
        if value is not _ABSENT:
            values[name] = value

    return into


def _scalar(node: Scalar, target: FieldDescriptor, where: str) -> Element:
    message_name, element = SCALARS[node.kind]
    if target.type in PLAIN_TYPES.get(node.kind, ()):
        return element
    if target.type == _MESSAGE and target.message_type is not None:
        if target.message_type.full_name == message_name:
            return element
        if node.kind is ScalarKind.ANY and target.message_type.full_name.endswith(".Struct"):
            return struct_element()
    elif target.type == FieldDescriptor.TYPE_STRING and node.kind in TEXT:
        return TEXT[node.kind]
    raise _misfit(where, _type_name(target), node)


def _enum(node: EnumNode, target: FieldDescriptor, where: str) -> Element:
    if target.type == FieldDescriptor.TYPE_STRING and all(
        isinstance(value, str) for _, value in node.members
    ):
        return Element(lambda value: getattr(value, "value", value), None, lambda value: value)
    if target.enum_type is None:
        raise _misfit(where, _type_name(target), node)
    numbers = enum_numbers(node, target.enum_type, enum_value_name)
    if numbers is None:
        known = ", ".join(value.name for value in target.enum_type.values)
        raise ConfigurationError(
            f"{where}: enum {target.enum_type.full_name} lacks a value for one of "
            f"{', '.join(name for name, _ in node.members)}; it has {known}"
        )
    return enum_element(node, numbers)


def _is_map(target: FieldDescriptor) -> bool:
    message = target.message_type
    return bool(message is not None and message.GetOptions().map_entry)


def _type_name(target: FieldDescriptor) -> str:
    if target.message_type is not None:
        return f"message {target.message_type.full_name}"
    names = {
        value: name.removeprefix("TYPE_").lower()
        for name, value in vars(FieldDescriptor).items()
        if name.startswith("TYPE_")
    }
    return names.get(target.type, str(target.type))


def _misfit(where: str, found: str, node: Node) -> ConfigurationError:
    wanted = node.kind.value if isinstance(node, Scalar) else type(node).__name__
    return ConfigurationError(f"{where}: {found} cannot hold {wanted} without loss")


def _where(descriptor: Descriptor) -> str:
    return f"{descriptor.file.name}: message {descriptor.full_name}"


def _record_name(record: Record) -> str:
    kind = record.type
    if kind is not None and isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"{kind.__module__}.{kind.__qualname__}"
    return record.name
