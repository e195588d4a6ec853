"""Bytes in JSON: base64 both ways, as in protobuf's JSON form.

pydantic would read and write a `bytes` field as UTF-8 text, which cannot hold every value. The
models belong to the user, so their configuration is left alone: what comes in is decoded by the
typed tree before it is validated, and what goes out uses a serializer made from the model's own
core schema, in which bytes alone are written differently. Models without bytes use their own.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic_core import SchemaSerializer

from bali.errors import FieldError
from bali.schemas import (
    Field,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
    records_of,
)
from bali.schemas.computed import needs_part_class, with_base64

__all__ = ["BytesDecoder", "Encoder", "encoder_for", "has_bytes"]

#: Turns an object of one model into JSON.
Encoder = Callable[[BaseModel], bytes]

_URL_SAFE = str.maketrans("-_", "+/")


def has_bytes(node: Node) -> bool:
    """Tell whether a value of this node can contain bytes."""
    leaves = [node, *(item.node for record in records_of(node) for item in record.fields)]
    return any(
        isinstance(leaf, Scalar) and leaf.kind is ScalarKind.BYTES
        for item in leaves
        for leaf in [_innermost(item)]
    )


def _innermost(node: Node) -> Node:
    while isinstance(node, ListNode | MapNode):
        node = node.item if isinstance(node, ListNode) else node.value
    return node


class BytesDecoder:
    """Replaces base64 strings by bytes where the tree of a request says bytes."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}

    def decode(self, node: Node, value: Any, path: str, errors: list[FieldError]) -> Any:
        """Return `value` with bytes; append an error for each string that is not base64."""
        if isinstance(node, Scalar):
            is_text = node.kind is ScalarKind.BYTES and isinstance(value, str)
            return _decoded(value, path, errors) if is_text else value
        if not self._has_bytes(node):
            return value
        if isinstance(node, ListNode) and isinstance(value, list):
            return [
                self.decode(node.item, item, f"{path}[{n}]", errors) for n, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        if isinstance(node, MapNode):
            return {
                key: self.decode(node.value, item, _join(path, key), errors)
                for key, item in value.items()
            }
        if isinstance(node, UnionNode):
            tag = value.get(node.discriminator)
            for variant in node.variants:
                if variant.tag == tag:
                    return self.decode(variant.record, value, path, errors)
        if isinstance(node, Record):
            return self.fields(node.fields, value, path, errors)
        return value

    def fields(
        self,
        fields: tuple[Field, ...],
        values: dict[str, Any],
        path: str,
        errors: list[FieldError],
    ) -> dict[str, Any]:
        """Return the values of some fields, by wire name, with bytes."""
        decoded = dict(values)
        for field in fields:
            name = field.wire_name
            if name in decoded:
                decoded[name] = self.decode(field.node, decoded[name], _join(path, name), errors)
        return decoded

    def _has_bytes(self, node: Node) -> bool:
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = has_bytes(node)
        return known


def encoder_for(record: Record | None, model: type[BaseModel] | None) -> Encoder | None:
    """Return how objects of a response model become JSON; None for an empty response."""
    if record is None or model is None:
        return None
    serializer = model.__pydantic_serializer__
    if has_bytes(record):
        schema = with_base64(model.__pydantic_core_schema__)
        serializer = SchemaSerializer(schema, None, _use_prebuilt=False)

    if needs_part_class(record):
        return _encoder_of_parts(model, serializer)

    return functools.partial(serializer.to_json, by_alias=True)


def _encoder_of_parts(model: type[BaseModel], serializer: SchemaSerializer) -> Encoder:
    """Return an encoder that also takes objects of part classes."""

    def encode(value: BaseModel) -> bytes:
        chosen = serializer if type(value) is model else value.__pydantic_serializer__
        return chosen.to_json(value, by_alias=True)

    return encode


def _decoded(text: str, path: str, errors: list[FieldError]) -> Any:
    standard = text.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        errors.append(
            FieldError(field=path, reason="BYTES_INVALID_ENCODING", description="must be base64")
        )
        return text


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
