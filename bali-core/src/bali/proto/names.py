"""Names in protobuf that follow from names in Python.

The descriptors that are built and the messages that are bound use the same rules, so both find the
same name.
"""

from __future__ import annotations

import re

from bali.schemas import EnumNode, UnionNode

__all__ = [
    "camel_case",
    "enum_prefix",
    "enum_value_names",
    "is_identifier",
    "json_name",
    "variant_names",
]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_FOREIGN = re.compile(r"[^0-9A-Za-z]+")
_UNSPECIFIED = "UNSPECIFIED"


def is_identifier(name: str) -> bool:
    """Tell whether protobuf allows the name for a field, message, method or service."""
    return _IDENTIFIER.match(name) is not None


def camel_case(name: str) -> str:
    """`created_time` becomes `CreatedTime`, as protoc names the entries of a map."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


def json_name(name: str) -> str:
    """`created_time` becomes `createdTime`, as protoc names a field in JSON."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def enum_prefix(enum_name: str) -> str:
    """`OrderState` becomes `ORDER_STATE_`, which the names of all its values start with."""
    return f"{_BOUNDARY.sub('_', enum_name).upper()}_"


def enum_value_names(node: EnumNode, enum_name: str) -> dict[str, str]:
    """Return the name in protobuf of each member: `large` of `Size` is `SIZE_LARGE`.

    A member called `UNSPECIFIED` is the value with the number 0. Members whose names differ only in
    case or punctuation, as those of a `Literal` may, get a number: `SORT_ASC`, `SORT_ASC_2`.
    """
    prefix = enum_prefix(enum_name)
    names: dict[str, str] = {}
    taken = {_UNSPECIFIED}
    for member, _ in node.members:
        stem = _FOREIGN.sub("_", member).strip("_").upper() or "EMPTY"
        if member != _UNSPECIFIED:
            stem = _free(stem, taken)
        taken.add(stem)
        names[member] = f"{prefix}{stem}"
    return names


def variant_names(node: UnionNode) -> dict[str, str]:
    """Return the name of the oneof field of each tag: the tag, as an identifier."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for variant in node.variants:
        stem = variant.tag
        if not is_identifier(stem):
            stem = _FOREIGN.sub("_", stem).strip("_").lower() or "empty"
            stem = f"tag_{stem}" if stem[0].isdigit() else stem
        stem = _free(stem, taken)
        taken.add(stem)
        names[variant.tag] = stem
    return names


def _free(stem: str, taken: set[str]) -> str:
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name
