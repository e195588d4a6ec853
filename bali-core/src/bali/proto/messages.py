"""Whole requests and responses: partial updates, and the message shapes of the first bali."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from bali.errors import ConfigurationError
from bali.proto.binder import FORMER_NAMES, Binder, Mode, check_may_lack, refuse_unused
from bali.proto.codec import Codec, Slot
from bali.proto.elements import PLAIN_TYPES, Element
from bali.proto.fields import Absence, single_slot
from bali.proto.forms import place_of_message, place_of_record
from bali.schemas import Field, ListNode, Record, Scalar, ScalarKind
from bali.schemas.parts import EVERYTHING

__all__ = ["bind_request", "bind_response", "counts_total"]

_INT_TYPES = PLAIN_TYPES[ScalarKind.INT]
#: The mask that says nothing of the request itself, but of its answer.
_READ_MASK = "read_mask"
#: The one field that may hold a whole record or value, in the first bali's responses.
_HOLDERS = ("data", "result", "item")


def bind_request(record: Record, descriptor: Descriptor) -> Codec:
    """Return the codec of a request message.

    A body (`user` of `UpdateUserRequest`) may be a field of the message, be called `data`, or have
    its fields in the message itself. In a request with a field mask the body is partial: what has
    no presence and looks absent is missing, unless the mask names it.

    Raises `ConfigurationError` when the two do not fit.
    """
    return _RequestBinder(record, descriptor).bind()


def bind_response(record: Record | None, descriptor: Descriptor) -> Codec:
    """Return the codec of a response message.

    An empty result (`record` None) is a message without any field set, but for a bool `result`,
    which is true. A record that is no message of its own may be the one field of
    `ItemResponse{data}` or `ResultResponse{result}`; a list without a total counts its items in
    `count`.

    Raises `ConfigurationError` when the two do not fit.
    """
    if record is None:
        return _Done(descriptor)
    fields = descriptor.fields_by_name
    holder = next((name for name in _HOLDERS if name in fields), None)
    is_own = holder is None or any(
        Binder().target(field, descriptor, Mode.RESPONSE) for field in record.fields
    )
    if is_own or holder is None:
        return _bind_own(record, descriptor)
    outer = Record(name=record.name).fill((Field(name=holder, node=record),))
    return _Held(holder, Binder().bind(outer, descriptor, Mode.RESPONSE), descriptor)


def counts_total(record: Record | None, descriptor: Descriptor) -> bool:
    """Tell whether a response promises the total of a list without being asked for it."""
    return (
        record is not None
        and any(field.wire_name == "total" for field in record.fields)
        and "total" not in descriptor.fields_by_name
        and "count" in descriptor.fields_by_name
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A body inside a request: where its message is, and how to read a field the mask names."""

    wire_name: str
    message: Callable[[Any], Any]
    codec: Codec
    required: tuple[str, ...]


class _RequestBinder:
    def __init__(self, record: Record, descriptor: Descriptor) -> None:
        self._record = record
        self._descriptor = descriptor
        self._fields = descriptor.fields_by_name
        self._binder = Binder()
        self._parts: list[_Part] = []
        self._mask = next(
            (
                field.wire_name
                for field in record.fields
                if isinstance(field.node, Scalar)
                and field.node.kind is ScalarKind.FIELD_MASK
                and field.wire_name != _READ_MASK
            ),
            None,
        )

    def bind(self) -> Codec:
        slots: list[Slot] = []
        used: set[str] = set()
        bodies: list[tuple[Field, Record]] = []
        for field in self._record.fields:
            target = self._binder.target(field, self._descriptor, Mode.REQUEST)
            if target is not None:
                used.add(target.name)
                slots.append(self._slot(field, target))
            elif isinstance(field.node, Record):
                bodies.append((field, field.node))
            else:
                check_may_lack(field, self._record, self._descriptor, Mode.REQUEST)
        for field, body in bodies:
            slots.extend(self._body(field, body, used))
        refuse_unused(self._whole(bodies), self._descriptor, used)
        codec = (
            _Update(self._record.name, self._descriptor, self._mask, self._parts)
            if self._mask is not None
            else Codec(self._record.name, self._descriptor, skips_unset=True)
        )
        codec.complete(slots, FORMER_NAMES)
        return codec

    def _whole(self, bodies: list[tuple[Field, Record]]) -> Record:
        """Return what a message with an inlined body may hold, for the text of an error."""
        outer = {field.wire_name for field, _ in bodies}
        own = [field for field in self._record.fields if field.wire_name not in outer]
        inner = [item for _, body in bodies for item in body.fields]
        return Record(name=self._record.name).fill((*own, *inner))

    def _slot(self, field: Field, target: FieldDescriptor) -> Slot:
        node, message_type = field.node, target.message_type
        if (
            self._mask is not None
            and isinstance(node, Record)
            and message_type is not None
            and not (target.is_repeated or _is_json(target))
        ):
            return self._partial(field, node, target, message_type)
        return self._binder.slot(field, target, Mode.REQUEST)

    def _partial(
        self, field: Field, body: Record, target: FieldDescriptor, message_type: Descriptor
    ) -> Slot:
        name = target.name
        codec = self._binder.bind(body, message_type, Mode.PARTIAL)
        self._add_part(field, body, codec, lambda message: getattr(message, name))
        absence = Absence(is_value=False, is_none=False)
        return single_slot(field, target, Element(None, codec.fill, codec.to_values), absence)

    def _body(self, field: Field, body: Record, used: set[str]) -> Iterator[Slot]:
        """Bind a body that is called `data`, or whose fields stand in the request itself."""
        holder = self._fields.get("data")
        if holder is not None and "data" not in used and holder.message_type is not None:
            used.add("data")
            yield self._slot(field, holder)
            return
        mode = Mode.REQUEST if self._mask is None else Mode.PARTIAL
        slots = []
        for item in body.fields:
            target = self._fields.get(item.wire_name)
            if target is not None and target.name not in used:
                slots.append(self._binder.slot(item, target, mode))
                used.add(target.name)
            elif field.is_required:
                check_may_lack(item, body, self._descriptor, mode)
        if not slots:
            if field.is_required:
                raise ConfigurationError(
                    f"{place_of_message(self._descriptor)}: neither a field {field.wire_name!r} "
                    f"nor fields of {place_of_record(body)}, which the request is about; it has "
                    f"{', '.join(self._fields) or 'no fields'}"
                )
            return
        codec = Codec(body.name, self._descriptor, skips_unset=True)
        codec.complete(slots)
        self._add_part(field, body, codec, lambda message: message)
        yield _inlined(field, codec)

    def _add_part(
        self,
        field: Field,
        body: Record,
        codec: Codec,
        message: Callable[[Any], Any],
    ) -> None:
        required = {
            item.wire_name
            for item in body.fields
            if item.is_required and not (item.is_immutable or item.is_input_only)
        }
        self._parts.append(
            _Part(
                field.wire_name,
                message,
                codec,
                tuple(slot.wire_name for slot in codec.slots if slot.wire_name in required),
            )
        )


class _Update(Codec):
    """Reads a partial update: what the mask names is present, even when it looks absent."""

    __slots__ = ("_mask", "_parts")

    def __init__(self, name: str, descriptor: Descriptor, mask: str, parts: list[_Part]) -> None:
        super().__init__(name, descriptor, skips_unset=True)
        self._mask = mask
        self._parts = parts

    def to_values(self, message: Any) -> dict[str, Any]:
        values = super().to_values(message)
        paths: list[str] = values.get(self._mask) or []
        for part in self._parts if paths else ():
            body = values.setdefault(part.wire_name, {})
            inner = part.message(message)
            for path in part.required if paths == [EVERYTHING] else paths:
                part.codec.take_at(path.removesuffix(f".{EVERYTHING}"), inner, body)
        return values


class _Held(Codec):
    """Puts a whole record into one field of a message."""

    __slots__ = ("_holder", "_inner")

    def __init__(self, holder: str, inner: Codec, descriptor: Descriptor) -> None:
        super().__init__(inner.name, descriptor)
        self._holder = holder
        self._inner = inner

    def fill(self, message: Any, value: Any) -> None:
        self._inner.fill(message, {self._holder: value})

    def to_values(self, message: Any) -> dict[str, Any]:
        values: dict[str, Any] = self._inner.to_values(message).get(self._holder, {})
        return values


class _Done(Codec):
    """Says that an operation without a result is done."""

    __slots__ = ("_has_result",)

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__(descriptor.name, descriptor)
        result = descriptor.fields_by_name.get("result")
        self._has_result = (
            result is not None
            and result.type == FieldDescriptor.TYPE_BOOL
            and not result.is_repeated
        )

    def to_message(self, value: Any) -> Message:
        message: Any = self.message_type()
        if self._has_result and value is None:
            message.result = True
        return message  # type: ignore[no-any-return]  # its fields are known at run time only


def _bind_own(record: Record, descriptor: Descriptor) -> Codec:
    items = next((field for field in record.fields if field.wire_name == "items"), None)
    count = descriptor.fields_by_name.get("count")
    has_count = (
        items is not None
        and isinstance(items.node, ListNode)
        and count is not None
        and count.type in _INT_TYPES
        and not any(field.wire_name in ("total", "count") for field in record.fields)
    )
    if not has_count:
        return Binder().bind(record, descriptor, Mode.RESPONSE)
    binder = Binder()
    slots: list[Slot] = []
    used = {"count"}
    for field in record.fields:
        target = binder.target(field, descriptor, Mode.RESPONSE)
        if target is not None:
            used.add(target.name)
            slot = binder.slot(field, target, Mode.RESPONSE)
            slots.append(_counted(slot) if field is items else slot)
    refuse_unused(record, descriptor, used)
    codec = Codec(record.name, descriptor)
    codec.complete(slots)
    return codec


def _counted(slot: Slot) -> Slot:
    put = slot.put

    def put_and_count(message: Any, value: Any) -> None:
        put(message, value)
        message.count = len(value)

    return replace(slot, put=put_and_count)


def _inlined(field: Field, codec: Codec) -> Slot:
    wire_name, is_required = field.wire_name, field.is_required

    def take(message: Any, values: dict[str, Any]) -> None:
        body = codec.to_values(message)
        if body or is_required:
            values[wire_name] = body

    return Slot(
        attribute=field.name,
        wire_name=wire_name,
        put=codec.fill,
        take=take,
        take_always=take,
    )


def _is_json(target: FieldDescriptor) -> bool:
    message = target.message_type
    return message is not None and message.file.name == "google/protobuf/struct.proto"
