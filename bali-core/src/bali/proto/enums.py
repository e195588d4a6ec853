"""Enums: which number stands for which member, and the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import EnumDescriptor

from bali.proto.elements import Element
from bali.proto.names import enum_prefix, enum_value_names
from bali.schemas import EnumNode

__all__ = ["enum_element", "enum_numbers", "plain_enum_element"]


def enum_numbers(node: EnumNode, descriptor: EnumDescriptor) -> dict[str, int] | None:
    """Return the number of each member in an enum of a .proto; None when a member has none.

    A value is found by its prefixed name (`SIZE_LARGE`), its plain name (`LARGE`), or, in an enum
    of ints that none of these fits, by its number.
    """
    by_name = {value.name.upper(): value.number for value in descriptor.values}
    prefix = enum_prefix(descriptor.name)
    numbers: dict[str, int] = {}
    for member, name in enum_value_names(node, descriptor.name).items():
        number = by_name.get(name, by_name.get(name.removeprefix(prefix)))
        if number is None:
            break
        numbers[member] = number
    else:
        return numbers
    known = descriptor.values_by_number.keys()
    if all(_is_int(value) and value in known for _, value in node.members):
        return {member: int(value) for member, value in node.members}
    return None


def enum_element(node: EnumNode, numbers: Mapping[str, int]) -> Element:
    """Return the element of an enum field; `numbers` maps the names of members to numbers.

    Reading gives a member's value, which is what pydantic takes. A number without a member gives
    text that is no value of the enum, so that validation names the field.
    """
    by_number = {numbers[name]: value for name, value in node.members}
    by_value = {value: numbers[name] for name, value in node.members if _is_hashable(value)}
    if node.type is not None:
        by_value |= {node.type[name]: numbers[name] for name, _ in node.members}
    label = node.name or "enum"

    def put(value: Any) -> int:
        try:
            return by_value[value]
        except (KeyError, TypeError):
            allowed = ", ".join(repr(item) for _, item in node.members)
            raise ValueError(f"{value!r} is none of {allowed}") from None

    def take(number: int) -> Any:
        try:
            return by_number[number]
        except KeyError:
            return f"{label}(number={number})"

    return Element(put, None, take, is_value_at_zero=0 in by_number)


def plain_enum_element(node: EnumNode, kind: type) -> Element | None:
    """Return the element of an enum in a field of strings or ints; None when a value is neither.

    The field holds the member's value; what is none of them is left to validation.
    """
    if not all(
        isinstance(value, kind) and not isinstance(value, bool) for _, value in node.members
    ):
        return None
    allowed = {value for _, value in node.members}

    def put(value: Any) -> Any:
        raw = value.value if node.type is not None and isinstance(value, node.type) else value
        if raw not in allowed:
            raise ValueError(f"{raw!r} is none of {', '.join(map(repr, sorted(allowed)))}")
        return kind(raw)

    return Element(put, None, kind, is_value_at_zero=kind() in allowed)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
