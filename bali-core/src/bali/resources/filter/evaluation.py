"""What a filter finds, in plain Python: for lists that are not kept in a database."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable, Mapping
from typing import Any

from bali.resources.filter.tree import (
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

__all__ = ["matches"]

_OPERATORS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


def matches(condition: Condition | None, item: Any) -> bool:
    """Tell whether an object, or a mapping, fits a condition; everything fits None.

    A declared function that returns a function is asked about the item. Text is compared by code
    points, and without regard to case by its lower case.
    """
    if condition is None:
        return True
    if isinstance(condition, AllOf):
        return all(matches(part, item) for part in condition.items)
    if isinstance(condition, AnyOf):
        return any(matches(part, item) for part in condition.items)
    if isinstance(condition, Negation):
        return not matches(condition.item, item)
    if isinstance(condition, Invocation):
        found = condition.result()
        return bool(found(item) if callable(found) else found)
    return _fits(condition, _value(item, condition.attribute))


def _fits(condition: Comparison | TextMatch | Presence, found: Any) -> bool:
    if isinstance(condition, Presence):
        return (found is not None) is condition.is_present
    if found is None:
        return False
    if isinstance(condition, TextMatch):
        return _fits_pieces(condition, found)
    wanted = condition.value
    if isinstance(wanted, Invocation):
        wanted = wanted.result()
    return wanted is not None and bool(_OPERATORS[condition.operator](found, wanted))


def _fits_pieces(condition: TextMatch, found: str) -> bool:
    pieces = condition.pieces
    if condition.is_folded:
        found, pieces = found.lower(), tuple(piece.lower() for piece in pieces)
    first, last = pieces[0], pieces[-1]
    if len(found) < len(first) + len(last) or not found.startswith(first):
        return False
    position, end = len(first), len(found) - len(last)
    for piece in pieces[1:-1]:
        start = found.find(piece, position, end)
        if start < 0:
            return False
        position = start + len(piece)
    return found.endswith(last)


def _value(item: Any, attribute: str) -> Any:
    found = item.get(attribute) if isinstance(item, Mapping) else getattr(item, attribute, None)
    if isinstance(found, datetime.datetime) and found.tzinfo is None:
        return found.replace(tzinfo=datetime.UTC)
    return found
