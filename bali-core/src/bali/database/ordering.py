"""Sorting by names.

An ordering is always made total with the key. A row without a value counts as larger than every
value, on every database: it comes last, first where the ordering descends. That is PostgreSQL's own
order, so its indexes serve it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Enum, String, and_, cast, false, func, literal, or_, tuple_

from bali.database.columns import columns_of, is_sortable
from bali.errors import FieldError, ValidationFailed

__all__ = ["Term", "order_by_clauses", "ordering_of", "rows_after"]

_TERM = re.compile(r"(-?)\s*([A-Za-z_]\w*)(?:\s+(asc|desc))?\Z", re.IGNORECASE)
_MAX_TERMS = 10
_MAX_SHOWN = 80
_MAX_SORT_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One key of an ordering."""

    name: str
    attribute: Any
    is_descending: bool
    is_nullable: bool

    @property
    def column(self) -> Any:
        """The column of the attribute."""
        return self.attribute.property.columns[0]

    def key(self, backend: str) -> Any:
        """Return what is sorted by and compared with.

        MariaDB sorts its own enums by position but compares them as text, and sorts text by its
        first 1024 bytes (max_sort_length) but compares all of it.
        """
        if backend in ("mysql", "mariadb"):
            kind = self.column.type
            if isinstance(kind, Enum) and kind.native_enum:
                return cast(self.attribute, String)
            if self._is_long:
                return func.left(self.attribute, _MAX_SORT_LENGTH)
        return self.attribute

    def bound(self, value: Any, backend: str) -> Any:
        """Return a value for the comparison with `key`; None for null."""
        if value is None:
            return None
        if backend in ("mysql", "mariadb") and self._is_long:
            value = value[:_MAX_SORT_LENGTH]
        return literal(value, self.column.type)

    @property
    def _is_long(self) -> bool:
        kind = self.column.type
        length = getattr(kind, "length", None)
        is_text = isinstance(kind, String) and not isinstance(kind, Enum)
        return is_text and (length is None or length > _MAX_SORT_LENGTH)


def ordering_of(
    model: type[Any], order_by: str, sortable: frozenset[str] | None = None
) -> tuple[Term, ...]:
    """Return the keys of an ordering like "age desc, username" or "-age".

    Raises `ValidationFailed` for what is no column of the model, cannot be sorted, or is there
    twice.
    """
    columns = {
        name: column
        for name, column in columns_of(model).items()
        if is_sortable(column) and (sortable is None or name in sortable)
    }
    terms: list[Term] = []
    for part in filter(None, (part.strip() for part in order_by.split(","))):
        match = _TERM.match(part)
        name = match[2] if match else part
        column = columns.get(name)
        if match is None or column is None or (match[1] and match[3]):
            known = ", ".join(columns)
            raise _bad(f"there is no field {name[:_MAX_SHOWN]!r} to sort by; there are {known}")
        if any(term.name == name for term in terms):
            raise _bad(f"{name!r} is there twice")
        is_descending = bool(match[1]) or (match[3] or "").lower() == "desc"
        terms.append(_term(model, name, column, is_descending=is_descending))
    if len(terms) > _MAX_TERMS:
        raise _bad(f"at most {_MAX_TERMS} fields")
    mapper: Any = model.__mapper__
    for key in mapper.primary_key:
        name = mapper.get_property_by_column(key).key
        if all(term.name != name for term in terms):
            terms.append(_term(model, name, key, is_descending=False))
    return tuple(terms)


def order_by_clauses(terms: Sequence[Term], backend: str) -> list[Any]:
    """Return the ORDER BY of an ordering, for a kind of database."""
    clauses = []
    for term in terms:
        keys = [term.key(backend)]
        if term.is_nullable and backend != "postgresql":
            keys.insert(0, term.attribute.is_(None))
        clauses += [key.desc() if term.is_descending else key.asc() for key in keys]
    return clauses


def rows_after(terms: Sequence[Term], values: Sequence[Any], backend: str) -> Any:
    """Return the condition for the rows that come after one with these sort values."""
    pairs = [(term, term.bound(value, backend)) for term, value in zip(terms, values, strict=True)]
    first, bound = pairs[0]
    if len(terms) == 1 or first.is_nullable:
        return _after(pairs, backend)
    is_uniform = len({term.is_descending for term in terms}) == 1
    if backend == "postgresql" and is_uniform and not any(term.is_nullable for term in terms):
        row = tuple_(*(term.attribute for term in terms))  # an index serves this form best
        place = tuple_(*(bound for _, bound in pairs))
        return row < place if first.is_descending else row > place
    key = first.key(backend)
    reached = key <= bound if first.is_descending else key >= bound
    return and_(reached, _after(pairs, backend))  # an index finds where to begin


def _after(pairs: Sequence[tuple[Term, Any]], backend: str) -> Any:
    """Compare key by key: after in the first, or the same in it and after in the rest."""
    term, bound = pairs[0]
    after = _after_one(term, bound, backend)
    if len(pairs) == 1:
        return after
    same = term.attribute.is_(None) if bound is None else term.key(backend) == bound
    return or_(after, and_(same, _after(pairs[1:], backend)))


def _after_one(term: Term, bound: Any, backend: str) -> Any:
    key = term.key(backend)
    if bound is None:
        return term.attribute.is_not(None) if term.is_descending else false()
    if term.is_descending:
        return key < bound
    return or_(key > bound, term.attribute.is_(None)) if term.is_nullable else key > bound


def _term(model: type[Any], name: str, column: Any, *, is_descending: bool) -> Term:
    return Term(
        name=name,
        attribute=getattr(model, name),
        is_descending=is_descending,
        is_nullable=bool(column.nullable),
    )


def _bad(description: str) -> ValidationFailed:
    return ValidationFailed(
        field_errors=[FieldError(field="order_by", reason="ORDER_BY", description=description)]
    )
