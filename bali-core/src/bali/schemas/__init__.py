"""Schemas as data: the typed tree, and pydantic's way into it."""

from __future__ import annotations

from typing import Any

from bali._former import former_value
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


def __getattr__(name: str) -> Any:
    """Return what the first bali had here: `ListRequest`, `model_to_schema`."""
    return former_value(__name__, name)
