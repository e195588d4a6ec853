"""`update_mask`: which fields an update changes, and what becomes of those without a value.

A path is the name of a field or several with dots between (`address.city`), as in a `read_mask`. Of
`address` and `address.city` the broader one counts. Lists, maps and unions have no paths of their
own: they are replaced as a whole (AIP-134, AIP-161).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import RootModel

from bali.errors import FieldError
from bali.resources.field_errors import wrong_field
from bali.resources.field_masks import bounded_mask
from bali.resources.values import MAX_NAME_LENGTH
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
from bali.schemas.parts import EVERYTHING, Paths, paths_in

__all__ = ["UPDATE_MASK", "named_values", "paths_of_update", "update_mask"]

UPDATE_MASK = "update_mask"
_MAX_PATHS = 1000
_MISSING: Any = object()


def update_mask() -> Any:
    """Return the annotation of the field of a request that holds the mask."""
    return bounded_mask(_MAX_PATHS)


def paths_of_update(
    mask: Iterable[str], record: Record, errors: list[FieldError], *, output_only: AbstractSet[str]
) -> Paths:
    """Return the paths of a mask by their first names, without those that are wrong.

    Adds an error for each path that leads nowhere, or where an update may not go: `output_only` are
    fields of the record whose values come from elsewhere.
    """
    fitting = []
    for path in dict.fromkeys(mask):
        problem = _problem(path, record, output_only)
        if problem is None:
            fitting.append(path)
        else:
            errors.append(wrong_field(UPDATE_MASK, *problem))
    return paths_in(fitting) or {}


def named_values(
    record: Record, paths: Paths, sent: Mapping[str, Any], place: str, errors: list[FieldError]
) -> dict[str, Any]:
    """Return the values of the fields that paths name as a whole, by wire name.

    A field without a value is cleared: it is null where it can be, else it has its default. Adds an
    error for one that is needed.
    """
    values: dict[str, Any] = {}
    for field in record.fields:
        name = field.wire_name
        if name not in paths or paths[name] is not None:
            continue
        values[name] = sent.get(name)
        if values[name] is None and not (field.is_nullable or _is_open(field.node)):
            values[name] = _empty(record, field)
        if values[name] is _MISSING:
            text = f"is in {UPDATE_MASK}, and cannot be without a value"
            errors.append(wrong_field(f"{place}{name}", "REQUIRED", text))
            del values[name]
    return values


def _problem(path: str, record: Record, output_only: AbstractSet[str]) -> tuple[str, str] | None:
    """Return the reason and the text of what is wrong with a path."""
    shown = path[:MAX_NAME_LENGTH]
    node: Node = record
    place = ""
    for name in path.removesuffix(f".{EVERYTHING}").split("."):
        if not isinstance(node, Record) or _is_root(node):
            return _below(node, place, shown)
        field = _by_wire_name(node).get(name)
        if field is None:
            return "UNKNOWN_FIELD", f"{UPDATE_MASK} has no field {shown!r}"
        if field.is_output_only or (not place and name in output_only):
            return "OUTPUT_ONLY", f"{shown!r} is set by the service"
        place = f"{place}.{name}" if place else name
        node = field.node
    return None


def _below(node: Node, place: str, shown: str) -> tuple[str, str]:
    if isinstance(node, EnumNode) or (isinstance(node, Scalar) and not _is_open(node)):
        text = f"{UPDATE_MASK} has no field {shown!r}: {place!r} is a single value"
        return "UNKNOWN_FIELD", text
    kind = "any JSON"
    if isinstance(node, ListNode | MapNode):
        kind = "a list" if isinstance(node, ListNode) else "a map"
    elif isinstance(node, UnionNode | Record):
        kind = "one of several kinds" if isinstance(node, UnionNode) else "one value"
    text = f"{shown!r} cannot be named: {place!r} is {kind}, and is replaced as a whole; name that"
    return "WHOLE_ONLY", text


@functools.lru_cache(maxsize=1024)
def _by_wire_name(record: Record) -> Mapping[str, Field]:
    return {field.wire_name: field for field in record.fields}


def _is_open(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind is ScalarKind.ANY


def _is_root(record: Record) -> bool:
    return record.type is not None and issubclass(record.type, RootModel)


def _empty(record: Record, field: Field) -> Any:
    """Return what a field without a null has that is cleared, `_MISSING` when it cannot be.

    A list or a map is empty, as in protobuf, which has no other form for it.
    """
    if isinstance(field.node, ListNode | MapNode):
        return [] if isinstance(field.node, ListNode) else {}
    info = record.type.model_fields[field.name] if record.type is not None else None
    if info is None or info.is_required() or info.default_factory_takes_validated_data:
        return _MISSING
    return info.get_default(call_default_factory=True)
