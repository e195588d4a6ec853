"""Schemas as data: the typed tree, and pydantic's way into it."""

from bali.schemas.describe import Described, Describer, describe
from bali.schemas.tree import (
    EnumNode,
    Field,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
    Variant,
    records_of,
)

__all__ = [
    "Described",
    "Describer",
    "EnumNode",
    "Field",
    "ListNode",
    "MapNode",
    "Node",
    "Record",
    "Scalar",
    "ScalarKind",
    "UnionNode",
    "Variant",
    "describe",
    "records_of",
]
