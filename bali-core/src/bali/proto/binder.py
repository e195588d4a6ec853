"""Binding a record to a message: which field goes where, decided at start.

The same binder serves messages that were built from the tree and messages of a hand-written .proto.
A form that would lose something is refused, with the file, message and field named.

A record and a message meet by field names. A message may have fewer fields than the record (a
narrower contract), except for what a request needs; it may not have more, since a field that
nobody reads or sets would break its promise. The first bali's names for fields of ours (`data`,
`count`, `limit`, `offset`) are understood.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bali.errors import ConfigurationError
from bali.proto.codec import Codec, Slot
from bali.proto.elements import Element
from bali.proto.fields import Absence, list_slot, map_slot, single_slot
from bali.proto.forms import (
    VALUE,
    element_of_enum,
    element_of_scalar,
    is_map,
    misfit,
    place_of_message,
    place_of_record,
)
from bali.proto.json_values import fill_struct, fill_value, take_struct, take_value
from bali.proto.names import variant_names
from bali.schemas import (
    EnumNode,
    Field,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
)

__all__ = [
    "FORMER_NAMES",
    "Binder",
    "Mode",
    "check_may_lack",
    "refuse_unused",
]

_F = FieldDescriptor
_STRUCT = "google.protobuf.Struct"

#: Names in hand-written messages for fields of ours, tried in order.
_REQUEST_NAMES: Mapping[str, tuple[str, ...]] = {
    "page_size": ("limit",),
    "skip": ("offset",),
    "order_by": ("ordering",),
    "id": ("pk",),
}
_RESPONSE_NAMES: Mapping[str, tuple[str, ...]] = {
    "items": ("data",),
    "total": ("count",),
    "result": ("data",),
}
#: What a mapping may call fields of a request.
FORMER_NAMES = {name: ours for ours, names in _REQUEST_NAMES.items() for name in names}


class Mode(enum.Enum):
    """What a message is for, which decides how an absent field is read.

    `REQUEST`: it is missing. `PARTIAL`, the body of an update: likewise, and a zero or an empty
    list without presence says nothing. `RESPONSE`: a nullable one is None.
    """

    REQUEST = "request"
    PARTIAL = "partial"
    RESPONSE = "response"


class Binder:
    """Binds records to messages, and remembers what it has bound. Used at start only."""

    def __init__(self) -> None:
        self._codecs: dict[tuple[int, str, Mode], Codec] = {}
        # Ids are keys above, so what they identify must not go away.
        self._kept: list[Record] = []

    def bind(self, record: Record, descriptor: Descriptor, mode: Mode) -> Codec:
        """Return the codec of a record and a message.

        Raises `ConfigurationError` when a field of one has no fitting counterpart in the other.
        """
        key = (id(record), descriptor.full_name, mode)
        known = self._codecs.get(key)
        if known is not None:
            return known
        self._kept.append(record)
        codec = Codec(record.name, descriptor, skips_unset=mode is not Mode.RESPONSE)
        self._codecs[key] = codec
        slots: list[Slot] = []
        used: set[str] = set()
        for field in record.fields:
            target = self.target(field, descriptor, mode)
            if target is not None and field.is_input_only and mode is Mode.RESPONSE:
                used.add(target.name)  # never in an answer, whatever an object has
            elif target is None:
                check_may_lack(field, record, descriptor, mode)
            else:
                used.add(target.name)
                slots.append(self.slot(field, target, mode))
        refuse_unused(record, descriptor, used)
        expanded = frozenset(field.name for field in record.fields if field.is_expanded)
        former = FORMER_NAMES if mode is Mode.REQUEST else None
        codec.complete(slots, former, expanded=expanded)
        return codec

    def target(self, field: Field, descriptor: Descriptor, mode: Mode) -> FieldDescriptor | None:
        """Return the message field for a field of the record, None when there is none."""
        fields = descriptor.fields_by_name
        former = _RESPONSE_NAMES if mode is Mode.RESPONSE else _REQUEST_NAMES
        for name in (field.wire_name, *former.get(field.wire_name, ())):
            if name in fields:
                found: FieldDescriptor = fields[name]
                return found
        return None

    def slot(self, field: Field, target: FieldDescriptor, mode: Mode) -> Slot:
        """Return how one field gets in and out of its message field."""
        node = field.node
        is_list = isinstance(node, ListNode)
        empty_is_value = mode is Mode.RESPONSE or (mode is Mode.REQUEST and field.is_required)
        if is_map(target):
            if not isinstance(node, MapNode):
                raise misfit(target, node)
            return self._map(field, node, target, mode, is_value=empty_is_value)
        if target.is_repeated:
            if not isinstance(node, ListNode):
                raise misfit(target, node)
            element = self._item(node.item, target, mode, is_nullable=node.is_item_nullable)
            return list_slot(
                field, target, element, Absence(is_value=empty_is_value, is_none=False)
            )
        is_any = isinstance(node, Scalar) and node.kind is ScalarKind.ANY
        absence = Absence(
            is_value=empty_is_value and not is_list,
            is_none=mode is Mode.RESPONSE and (field.is_nullable or is_any),
        )
        if absence.is_none and not target.has_presence and target.enum_type is None:
            absence = replace(absence, is_none=False)
        return single_slot(field, target, self._element(node, target, mode), absence)

    def _map(
        self, field: Field, node: MapNode, target: FieldDescriptor, mode: Mode, *, is_value: bool
    ) -> Slot:
        entry = target.message_type
        if entry is None or entry.fields_by_name["key"].type != _F.TYPE_STRING:
            raise misfit(target, node)
        element = self._item(
            node.value, entry.fields_by_name["value"], mode, is_nullable=node.is_value_nullable
        )
        return map_slot(field, target, element, Absence(is_value=is_value, is_none=False))

    # -- elements ------------------------------------------------------------------------------

    def _item(
        self, node: Node, target: FieldDescriptor, mode: Mode, *, is_nullable: bool
    ) -> Element:
        """Return the element of one item of a list or map; a nullable one sits in a message."""
        is_any = isinstance(node, Scalar) and node.kind is ScalarKind.ANY
        if is_nullable and not is_any and not _holds_json(target):
            return self._wrapped(node, target, mode)
        # What is inside an item that is replaced as a whole is no partial update.
        return self._element(node, target, mode)

    def _element(self, node: Node, target: FieldDescriptor, mode: Mode) -> Element:
        if mode is Mode.PARTIAL:
            mode = Mode.REQUEST
        if isinstance(node, Scalar):
            return element_of_scalar(node, target, is_response=mode is Mode.RESPONSE)
        if isinstance(node, EnumNode):
            return element_of_enum(node, target)
        message = target.message_type
        if message is None:
            raise misfit(target, node)
        if message.full_name == VALUE:
            return Element(None, fill_value, take_value)
        if message.full_name == _STRUCT and not isinstance(node, ListNode):
            return Element(None, fill_struct, take_struct)
        if isinstance(node, ListNode | MapNode):
            return self._wrapped(node, target, mode)
        if isinstance(node, UnionNode):
            return self._union(node, message, mode)
        codec = self.bind(node, message, mode)
        return Element(None, codec.fill, codec.to_values, row_filler=codec.row_filler, codec=codec)

    def _wrapped(self, node: Node, target: FieldDescriptor, mode: Mode) -> Element:
        """Return the element of a message whose one field holds the value, or a null."""
        message = target.message_type
        if message is None or len(message.fields) != 1:
            raise misfit(target, node)
        is_many = isinstance(node, ListNode | MapNode)
        slot = self.slot(
            Field(name="value", node=node, is_nullable=not is_many),
            message.fields[0],
            Mode.REQUEST if mode is Mode.PARTIAL else mode,
        )
        put, take_inner = slot.put, slot.take

        def fill(part: Any, value: Any) -> None:
            if value is not None:
                put(part, value)

        def take(part: Any) -> Any:
            values: dict[str, Any] = {}
            take_inner(part, values)
            return values.get("value")

        return Element(None, fill, take)

    def _union(self, node: UnionNode, descriptor: Descriptor, mode: Mode) -> Element:
        oneofs = descriptor.oneofs
        fields = descriptor.fields_by_name
        codecs: dict[str, tuple[str, str, Codec]] = {}
        for variant in node.variants:
            name = variant_names(node)[variant.tag]
            target = fields.get(name)
            if target is None or target.message_type is None or len(oneofs) != 1:
                raise ConfigurationError(
                    f"{place_of_message(descriptor)}: wanted one oneof with a message field "
                    f"{name!r} for {place_of_record(variant.record)}; it has "
                    f"{', '.join(fields) or 'no fields'}"
                )
            own = variant.record.field(node.discriminator)
            wire_name = own.wire_name if own else node.discriminator
            codecs[variant.tag] = (
                name,
                wire_name,
                self.bind(variant.record, target.message_type, mode),
            )
        by_field = {
            name: (tag, wire_name, codec) for tag, (name, wire_name, codec) in codecs.items()
        }
        for target in descriptor.fields:
            if target.name not in by_field:
                raise ConfigurationError(
                    f"{place_of_message(descriptor)}: field {target.name!r} is no variant of the "
                    f"union, which has {', '.join(by_field)}"
                )
        return _union_element(node.discriminator, oneofs[0].name, codecs, by_field)


def refuse_unused(record: Record, descriptor: Descriptor, used: set[str]) -> None:
    """Refuse a message with a field that the record does not have."""
    unused = [name for name in descriptor.fields_by_name if name not in used]
    if unused:
        known = ", ".join(field.wire_name for field in record.fields) or "no fields"
        raise ConfigurationError(
            f"{place_of_message(descriptor)}: field {unused[0]!r} has no counterpart in "
            f"{place_of_record(record)}, which has {known}; rename it, or add it there"
        )


def check_may_lack(field: Field, record: Record, descriptor: Descriptor, mode: Mode) -> None:
    """Refuse a request message without a field that a valid request has."""
    if mode is not Mode.REQUEST or not field.is_required or field.is_output_only:
        return
    raise ConfigurationError(
        f"{place_of_message(descriptor)}: no field {field.wire_name!r}, without which "
        f"{place_of_record(record)} is never valid; it has "
        f"{', '.join(descriptor.fields_by_name) or 'no fields'}"
    )


def _union_element(
    discriminator: str,
    oneof: str,
    by_tag: Mapping[str, tuple[str, str, Codec]],
    by_field: Mapping[str, tuple[str, str, Codec]],
) -> Element:
    wire_names = {wire_name for _, wire_name, _ in by_tag.values()} | {discriminator}

    def fill(message: Any, value: Any) -> None:
        if isinstance(value, Mapping):
            tag = next((value[name] for name in wire_names if name in value), None)
        else:
            tag = getattr(value, discriminator)
        found = by_tag.get(tag)  # type: ignore[arg-type]  # None and strangers are refused below
        if found is None:
            raise ValueError(f"{discriminator} {tag!r} is none of {', '.join(by_tag)}")
        name, _, codec = found
        part = getattr(message, name)
        part.SetInParent()
        codec.fill(part, value)

    def take(message: Any) -> dict[str, Any]:
        name = message.WhichOneof(oneof)
        if name is None:
            return {}
        tag, wire_name, codec = by_field[name]
        values = codec.to_values(getattr(message, name))
        values[wire_name] = tag
        return values

    return Element(None, fill, take)


def _holds_json(target: FieldDescriptor) -> bool:
    return target.message_type is not None and target.message_type.full_name == VALUE
