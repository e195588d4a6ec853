"""From the filter of a list (AIP-160) to the condition of a query.

Names have been looked up before (see `bali.resources.filter`); values are bound parameters. A
condition is true or false for each row and never unknown: a comparison with a missing value is
false, and its negation true.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Uuid, and_, false, func, not_, or_, true
from sqlalchemy.types import TypeDecorator

from bali.database.columns import annotation_of, columns_of, is_input_only, python_type
from bali.database.expressions import folded_match, literal_pattern, text_match
from bali.database.filters import OPERATORS
from bali.database.types import OWN_TYPES
from bali.resources.filter import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Invocation,
    Negation,
    Operator,
    Presence,
    TextMatch,
)

__all__ = ["filter_condition", "filterable"]

_NAMES: Mapping[Operator, str] = {
    Operator.EQ: "exact",
    Operator.NE: "ne",
    Operator.LT: "lt",
    Operator.LE: "lte",
    Operator.GT: "gt",
    Operator.GE: "gte",
}
_COMPARABLE = (
    int,
    float,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    enum.Enum,
)


def filterable(model: type[Any]) -> Mapping[str, Any]:
    """Return the annotation of each column's values, as a filter may compare them.

    Any stands for values that no filter can hold: it may only ask whether there is one.
    """
    return {
        name: _annotation(name, column)
        for name, column in columns_of(model).items()
        if not is_input_only(column)
    }


def filter_condition(
    model: type[Any],
    condition: Condition | None,
    relations: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Any, ...]:
    """Return the condition of a filter for `select(...).where(*...)`; nothing for None.

    `relations` are the stores at the paths of relations that it goes through, as a caller sees
    them; of others, all that is not deleted counts.
    """
    if condition is None:
        return ()
    return (_Compiler(model, relations).compile(condition, is_negated=False),)


def _annotation(name: str, column: Any) -> Any:
    kind = column.type
    if isinstance(kind, TypeDecorator) and not isinstance(kind, OWN_TYPES):
        return Any  # what it takes, its author knows alone
    if isinstance(kind, Uuid) and not kind.as_uuid:
        return Any  # text for Python, and none for the database
    try:
        found = python_type(column)
    except NotImplementedError:
        return Any
    if found in (str, bytes) or getattr(found, "__origin__", None) is Literal:
        return found
    known = isinstance(found, type) and issubclass(found, _COMPARABLE)
    return annotation_of(column, where=name) if known else Any


class _Compiler:
    """Compiles one filter; the depth of a condition is bounded, so this may be recursive.

    A negation is carried down to the leaves, where a missing value is known.
    """

    def __init__(self, model: type[Any], relations: Mapping[str, Any]) -> None:
        self._model = model
        self._relations = relations
        self._columns = columns_of(model)

    def compile(self, node: Condition, *, is_negated: bool) -> Any:
        if isinstance(node, Negation):
            return self.compile(node.item, is_negated=not is_negated)
        if isinstance(node, AllOf | AnyOf):
            join = and_ if isinstance(node, AllOf) is not is_negated else or_
            return join(*(self.compile(item, is_negated=is_negated) for item in node.items))
        if isinstance(node, Invocation):
            return _declared(node, is_negated=is_negated)
        return self._leaf(node, is_negated=is_negated)

    def _through(self, node: Any, name: str, rest: str, *, is_negated: bool) -> Any:
        """Compile a condition on what a relation leads to: true when any of it fits."""
        if isinstance(node, Presence) and not node.is_present:
            return self._through(
                replace(node, is_present=True), name, rest, is_negated=not is_negated
            )
        attribute = getattr(self._model, name)
        model = attribute.property.mapper.class_
        store, prefix = self._relations.get(name), f"{name}."
        seen = model.__store__.conditions if store is None else store.conditions
        inner = _Compiler(
            model,
            {
                path.removeprefix(prefix): below
                for path, below in self._relations.items()
                if path.startswith(prefix)
            },
        )
        found = inner.compile(replace(node, attribute=rest), is_negated=False)
        exists = attribute.any if attribute.property.uselist else attribute.has
        condition = exists(and_(found, *seen))
        return not_(condition) if is_negated else condition

    def _leaf(self, node: Comparison | TextMatch | Presence, *, is_negated: bool) -> Any:
        name, dot, rest = node.attribute.partition(".")
        if dot:
            return self._through(node, name, rest, is_negated=is_negated)
        attribute = getattr(self._model, node.attribute)
        if isinstance(node, Presence):
            is_present = node.is_present is not is_negated
            return attribute.is_not(None) if is_present else attribute.is_(None)
        found = _compared(attribute, node)
        if not is_negated:
            return found
        if self._columns[node.attribute].nullable:
            return or_(not_(found), attribute.is_(None))
        return not_(found)


def _compared(attribute: Any, node: Comparison | TextMatch) -> Any:
    if isinstance(node, TextMatch):
        pattern = "%".join(literal_pattern(piece) for piece in node.pieces)
        return (folded_match if node.is_folded else text_match)(attribute, pattern)
    value = node.value.result() if isinstance(node.value, Invocation) else node.value
    if value is None:
        return false()
    return OPERATORS[_NAMES[node.operator]](attribute, value)


def _declared(node: Invocation, *, is_negated: bool) -> Any:
    found = node.result()
    if isinstance(found, bool):
        return true() if found is not is_negated else false()
    return not_(func.coalesce(found, false())) if is_negated else found
