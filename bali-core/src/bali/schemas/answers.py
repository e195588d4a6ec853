"""Answers without input-only fields (AIP-203), whatever they are made from.

Such a field, and one that is only in answers that it was asked for, is not read from what an action
returns, so an object may lack it; an input-only one is taken out of objects that have it. Nothing
of what was read is repeated in an error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreConfig, SchemaValidator

from bali.schemas.behaviour import unread_attributes
from bali.schemas.computed import lacks
from bali.schemas.parts import Cut, all_of, chosen, each, remade
from bali.schemas.tree import Field, ListNode, MapNode, Node, Record, UnionNode, records_of

__all__ = ["Answers", "answers_of", "with_absence"]

_MODEL_VALIDATORS = ("function-after", "function-before", "function-wrap", "definitions")


class Answers:
    """Makes answers of one model that has fields which are not read; built once, at start."""

    def __init__(self, record: Record, model: type[BaseModel]) -> None:
        self._validator = SchemaValidator(
            _readable(model.__pydantic_core_schema__),
            CoreConfig(hide_input_in_errors=True),
            _use_prebuilt=False,
        )
        is_in_union = any(map(_hides_in_union, records_of(record)))
        self._conceal = all_of(record) if is_in_union else _Concealer(record).cut(record)

    def read(self, value: Any) -> BaseModel:
        """Return an object made from another or from a mapping by attribute names.

        Raises pydantic's `ValidationError`, without the values.
        """
        made: BaseModel = self._validator.validate_python(value, from_attributes=True, by_name=True)
        return made

    def read_json(self, content: str | bytes) -> BaseModel:
        """Return the object that was written as JSON."""
        made: BaseModel = self._validator.validate_json(content, by_alias=True)
        return made

    def read_wire(self, values: Mapping[str, Any]) -> BaseModel:
        """Return an object made from a mapping by wire names."""
        made: BaseModel = self._validator.validate_python(values, by_alias=True)
        return made

    def without_input(self, answer: BaseModel) -> BaseModel:
        """Return an answer without its input-only fields; the object itself is left as it is."""
        found: BaseModel = answer if self._conceal is None else self._conceal(answer)
        return found


def answers_of(record: Record | None, model: type[BaseModel] | None) -> Answers | None:
    """Return what makes answers of a model; None for one whose fields are all read."""
    if record is None or model is None or not any(map(_hides, records_of(record))):
        return None
    return Answers(record, model)


def _hides(record: Record) -> bool:
    return any(field.is_input_only or field.is_expanded for field in record.fields)


def _hides_in_union(record: Record) -> bool:
    nodes = [field.node for field in record.fields]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ListNode | MapNode):
            nodes.append(node.item if isinstance(node, ListNode) else node.value)
        elif isinstance(node, UnionNode) and any(map(_hides, records_of(node))):
            return True
    return False


# -- what is read ----------------------------------------------------------------------------------


def _readable(schema: Any) -> Any:
    def without(fields: dict[str, Any], model: type[BaseModel]) -> Any:
        hidden = unread_attributes(model)
        if not hidden:
            return fields
        kept = {name: field for name, field in fields["fields"].items() if name not in hidden}
        return {**fields, "fields": kept, "extra_behavior": "ignore"}

    return with_absence(schema, without)


def with_absence(
    schema: Any,
    change: Callable[[dict[str, Any], type[BaseModel]], Any],
    model: type[BaseModel] | None = None,
) -> Any:
    """Return a core schema in which `change` was made to the fields of each model.

    A validator of a whole object (`model_validator(mode="after")`) that reads an absent field is
    passed over: it cannot judge a part.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(with_absence(item, change, model) for item in schema)
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    inside = schema["cls"] if kind == "model" else model
    copied = {
        key: value if key in ("metadata", "default") else with_absence(value, change, inside)
        for key, value in schema.items()
    }
    if kind == "model-fields" and model is not None:
        return change(copied, model)
    if kind == "function-after" and _judges_model(schema):
        function = schema["function"]
        copied["function"] = {**function, "function": _judging_the_whole(function["function"])}
    return copied


def _judges_model(schema: Any) -> bool:
    while schema.get("type") in _MODEL_VALIDATORS:
        schema = schema["schema"]
    return bool(schema.get("type") == "model")


def _judging_the_whole(validator: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(validator)
    def validate(item: Any, *rest: Any) -> Any:
        try:
            return validator(item, *rest)
        except AttributeError as error:
            if error.obj is item and lacks(item, str(error.name)):
                return item
            raise

    return validate


# -- what is taken out -----------------------------------------------------------------------------


class _Hidden:
    """Takes input-only fields out of the objects of one record; it may hold itself."""

    def __init__(self, record: Record) -> None:
        hidden = [field for field in record.fields if field.is_input_only]
        self._attributes = frozenset(field.name for field in hidden)
        self._names = self._attributes | {field.wire_name for field in hidden}
        self.inner: list[tuple[Field, Cut]] = []

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            shown = {name: item for name, item in value.items() if name not in self._names}
            for field, cut in self.inner:
                if shown.get(field.wire_name) is not None:
                    shown[field.wire_name] = cut(shown[field.wire_name])
            return shown
        if not isinstance(value, BaseModel):
            return value
        values = value.__dict__.items()
        shown = {name: item for name, item in values if name not in self._attributes}
        for field, cut in self.inner:
            if shown.get(field.name) is not None:
                shown[field.name] = cut(shown[field.name])
        made = remade(value, shown)
        if value.__pydantic_extra__:
            extra = {
                name: item
                for name, item in value.__pydantic_extra__.items()
                if name not in self._names
            }
            object.__setattr__(made, "__pydantic_extra__", extra)
        return made


class _Concealer:
    """Finds out where input-only fields are."""

    def __init__(self, root: Record) -> None:
        self._made: dict[int, _Hidden] = {}
        self._reaching: dict[int, bool] = {
            id(record): any(map(_hides, records_of(record))) for record in records_of(root)
        }

    def cut(self, node: Node) -> Cut | None:
        """Return what takes them out of a value of a node, None when it can have none."""
        if isinstance(node, Record):
            return self._record(node) if self._reaching[id(node)] else None
        if isinstance(node, UnionNode):
            cuts = {variant.tag: self.cut(variant.record) for variant in node.variants}
            return chosen(node, cuts) if any(cuts.values()) else None
        if isinstance(node, ListNode):
            return each(node, self.cut(node.item))
        return each(node, self.cut(node.value)) if isinstance(node, MapNode) else None

    def _record(self, record: Record) -> _Hidden:
        known = self._made.get(id(record))
        if known is None:
            known = self._made[id(record)] = _Hidden(record)
            for field in record.fields:
                cut = self.cut(field.node)
                if cut is not None and not field.is_input_only:
                    known.inner.append((field, cut))
        return known
