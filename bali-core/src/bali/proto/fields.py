"""One field: the functions that put a value into it and take it out, for each form of field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from bali.proto.codec import EncodeError, Put, Slot, Take
from bali.proto.compiled import FillRow
from bali.proto.elements import Element, same
from bali.schemas import Field, Scalar, ScalarKind
from bali.schemas.rows import Rows

__all__ = ["Absence", "list_slot", "map_slot", "single_slot"]

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What a field says that looks absent: without presence, a zero or an empty list does.

    `is_value`: it stands for its zero. `is_none`: an absent field is None, not missing.
    """

    is_value: bool
    is_none: bool


def single_slot(field: Field, target: FieldDescriptor, element: Element, absence: Absence) -> Slot:
    """Return the slot of a field with one value."""
    name, wire_name, take_raw = target.name, field.wire_name, element.take
    is_plain = element.put is same and element.take is same

    def always(message: Any, values: dict[str, Any]) -> None:
        values[wire_name] = take_raw(getattr(message, name))

    def when_present(message: Any, values: dict[str, Any]) -> None:
        if message.HasField(name):
            values[wire_name] = take_raw(getattr(message, name))

    def or_none(message: Any, values: dict[str, Any]) -> None:
        present = message.HasField(name)
        values[wire_name] = take_raw(getattr(message, name)) if present else None

    def when_not_zero(message: Any, values: dict[str, Any]) -> None:
        raw = getattr(message, name)
        if raw:
            values[wire_name] = take_raw(raw)
        elif absence.is_none:
            values[wire_name] = None

    take: Take
    if target.has_presence:
        take = or_none if absence.is_none else when_present
    else:
        take = always if absence.is_value and element.is_value_at_zero else when_not_zero
    return Slot(
        attribute=field.name,
        wire_name=wire_name,
        put=_put_single(name, element),
        take=take,
        take_always=take if target.has_presence else always,
        takes_none=isinstance(field.node, Scalar) and field.node.kind is ScalarKind.ANY,
        default=field.default,
        plain_name=name if is_plain else None,
        part_name=name if element.is_marking else None,
        fill_part=element.fill if element.is_marking else None,
        part_lines=element.lines,
        packed_lines=element.packed_lines,
        has_presence=target.has_presence and not absence.is_none,
        record=None if element.codec is None else (name, element.codec),
    )


def list_slot(field: Field, target: FieldDescriptor, element: Element, absence: Absence) -> Slot:
    """Return the slot of a repeated field."""
    name, wire_name, take_item = target.name, field.wire_name, element.take

    def always(message: Any, values: dict[str, Any]) -> None:
        values[wire_name] = convert(getattr(message, name))

    def when_not_empty(message: Any, values: dict[str, Any]) -> None:
        raw = getattr(message, name)
        if raw:
            values[wire_name] = convert(raw)

    def convert_items(raw: Any) -> list[Any]:
        return [take_item(item) for item in raw]

    convert: Convert = list if take_item is same else convert_items
    return Slot(
        attribute=field.name,
        wire_name=wire_name,
        put=_put_list(name, element),
        take=always if absence.is_value else when_not_empty,
        take_always=always,
        default=field.default,
    )


def map_slot(field: Field, target: FieldDescriptor, element: Element, absence: Absence) -> Slot:
    """Return the slot of a map with string keys."""
    name, wire_name, take_item = target.name, field.wire_name, element.take

    def always(message: Any, values: dict[str, Any]) -> None:
        raw = getattr(message, name)
        values[wire_name] = {key: take_item(item) for key, item in raw.items()}

    def when_not_empty(message: Any, values: dict[str, Any]) -> None:
        if getattr(message, name):
            always(message, values)

    return Slot(
        attribute=field.name,
        wire_name=wire_name,
        put=_put_map(name, element),
        take=always if absence.is_value else when_not_empty,
        take_always=always,
        default=field.default,
    )


def _put_single(name: str, element: Element) -> Put:
    convert, fill = element.put, element.fill

    def put_plain(message: Any, value: Any) -> None:
        setattr(message, name, value)

    def put_converted(message: Any, value: Any) -> None:
        setattr(message, name, convert(value))  # type: ignore[misc]  # an element has one of both

    def put_message(message: Any, value: Any) -> None:
        part = getattr(message, name)
        part.SetInParent()
        fill(part, value)  # type: ignore[misc]  # an element has one of both

    if fill is not None:
        return put_message
    return put_plain if convert is same else put_converted


def _put_list(name: str, element: Element) -> Put:
    convert = element.put

    def put_plain(message: Any, value: Any) -> None:
        _refuse_text(value)
        getattr(message, name).extend(value)

    def put_converted(message: Any, value: Any) -> None:
        append = getattr(message, name).append
        position = 0
        _refuse_text(value)
        try:
            for item in value:
                append(convert(item))  # type: ignore[misc]  # an element has one of both
                position += 1
        except Exception as error:
            raise _located(error, position) from error

    if element.fill is not None:
        return _put_messages(name, element.fill, element.row_filler)
    return put_plain if convert is same else put_converted


def _put_messages(
    name: str,
    fill: Callable[[Any, Any], None],
    row_filler: Callable[[Rows], FillRow] | None,
) -> Put:
    def put_messages(message: Any, value: Any) -> None:
        add = getattr(message, name).add
        if type(value) is Rows and row_filler is not None:
            fill_row = row_filler(value)
            try:
                for row in value.rows:
                    fill_row(add(), row)
            except Exception:  # noqa: BLE001 - below it is told which value it was
                message.ClearField(name)
            else:
                return
        position = 0
        _refuse_text(value)
        try:
            for item in value:
                fill(add(), item)
                position += 1
        except Exception as error:
            raise _located(error, position) from error

    return put_messages


def _put_map(name: str, element: Element) -> Put:
    convert, fill = element.put, element.fill

    def put_converted(message: Any, value: Any) -> None:
        entries = getattr(message, name)
        key = ""
        try:
            for key, item in value.items():
                entries[key] = convert(item)  # type: ignore[misc]  # an element has one of both
        except Exception as error:
            raise _located(error, key) from error

    def put_messages(message: Any, value: Any) -> None:
        entries = getattr(message, name)
        key = ""
        try:
            for key, item in value.items():
                fill(entries[key], item)  # type: ignore[misc]  # an element has one of both
        except Exception as error:
            raise _located(error, key) from error

    return put_converted if fill is None else put_messages


def _refuse_text(value: Any) -> None:
    if isinstance(value, str | bytes):
        raise TypeError(f"{type(value).__name__} given where a list is wanted")


def _located(error: Exception, key: object) -> EncodeError:
    if isinstance(error, EncodeError):
        return error.under(f"[{key!r}]")
    return EncodeError(f"[{key!r}]", f"{error} ({type(error).__name__})")
