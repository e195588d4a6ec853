"""The classes of objects that lack fields, where pydantic would not write those as they are.

A computed field is made from the other fields whenever an object is read or written; of an object
that lacks some of them, it is computed beforehand and kept like any other field. A variant of a
union is recognised by its fields; one that lacks some is written as its own class says.
"""

from __future__ import annotations

import abc
import base64
import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic_core import SchemaSerializer

from bali.schemas.tree import ListNode, MapNode, Node, UnionNode, records_of

__all__ = ["lacks", "needs_part_class", "part_class", "with_base64", "with_stored_fields"]


def needs_part_class(node: Node) -> bool:
    """Tell whether parts of a value of this node need classes of their own."""
    return _has_union(node) or any(
        (record.type is not None and record.type.model_computed_fields)
        or any(_has_union(field.node) for field in record.fields)
        for record in records_of(node)
    )


def _has_union(node: Node) -> bool:
    while isinstance(node, ListNode | MapNode):
        node = node.item if isinstance(node, ListNode) else node.value
    return isinstance(node, UnionNode)


@functools.lru_cache(maxsize=1024)
def part_class(model: type[BaseModel]) -> type[BaseModel]:
    """Return the class of parts of objects of a model: computed fields are kept in them.

    It is a subclass, which pydantic's metaclass has not seen: it validates nothing.
    """
    serializer = SchemaSerializer(
        with_base64(with_stored_fields(model.__pydantic_core_schema__)),
        None,
        _use_prebuilt=False,
    )
    namespace: dict[str, Any] = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "__pydantic_serializer__": serializer,
        "__pydantic_computed_fields__": {},
        **{name: _Stored(name) for name in model.model_computed_fields},
    }
    made: type[BaseModel] = abc.ABCMeta.__new__(type(model), model.__name__, (model,), namespace)
    return made


def lacks(item: Any, name: str) -> bool:
    """Tell whether an object is a part of one, without the field of this name."""
    if not isinstance(item, BaseModel) or name in item.__dict__:
        return False
    kind = type(item)
    return name in kind.model_fields or isinstance(
        inspect.getattr_static(kind, name, None), _Stored
    )


def with_stored_fields(schema: Any) -> Any:
    """Return a core schema of parts: computed fields are where the others are.

    A variant of a union is written by its own class.
    """
    return _changed(schema, _store_computed)


def with_base64(schema: Any) -> Any:
    """Return a core schema whose serializer writes bytes as base64, as protobuf's JSON has them."""
    return _changed(schema, _write_base64)


def _changed(schema: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    if isinstance(schema, dict):
        copied = {
            key: value if key in ("metadata", "default") else _changed(value, change)
            for key, value in schema.items()
        }
        change(copied)
        return copied
    if isinstance(schema, list):
        return [_changed(item, change) for item in schema]
    if type(schema) is tuple:
        return tuple(_changed(item, change) for item in schema)
    return schema


def _store_computed(schema: dict[str, Any]) -> None:
    if schema.get("type") == "tagged-union":
        schema["serialization"] = _plain_function(_same, {"type": "any"})
    if schema.get("type") == "model-fields":
        for item in schema.pop("computed_fields", None) or ():
            field = {"type": "model-field", "schema": item["return_schema"]}
            if item.get("alias"):
                field["serialization_alias"] = field["validation_alias"] = item["alias"]
            schema["fields"][item["property_name"]] = field


def _write_base64(schema: dict[str, Any]) -> None:
    if schema.get("type") == "bytes" and "serialization" not in schema:
        schema["serialization"] = _plain_function(_encoded, {"type": "str"}, when_used="json")


def _plain_function(
    function: Callable[[Any], Any], returned: dict[str, Any], *, when_used: str = "always"
) -> dict[str, Any]:
    return {
        "type": "function-plain",
        "function": function,
        "when_used": when_used,
        "is_field_serializer": False,
        "info_arg": False,
        "return_schema": returned,
    }


def _same(value: Any) -> Any:
    return value


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


class _Stored:
    """A computed field whose value, where there is one, is in the object."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, item: Any, owner: type[Any]) -> NoReturn:
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")
