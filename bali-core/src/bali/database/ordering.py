"""Sorting by names, and page tokens that go on after a row.

An ordering is always made total with the key. Nulls come first, last where it descends, on every
database. A token holds the sort values of the last row of a page, so a deep page costs what the
first one costs; it is signed, and bound to the ordering and the filters it was made for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import and_, false, or_

from bali.database.filters import columns_of, python_type
from bali.errors import FieldError, InvalidArgument, ValidationFailed

__all__ = ["Term", "decode_token", "encode_token", "ordering_of", "rows_after"]

_TERM = re.compile(r"(-?)\s*([A-Za-z_]\w*)(?:\s+(asc|desc))?\Z", re.IGNORECASE)
_SIGNATURE_BYTES = 16
_MAX_TERMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One key of an ordering."""

    name: str
    attribute: Any
    is_descending: bool
    is_nullable: bool

    def expression(self, *, nulls: bool = False) -> Any:
        """Return the ORDER BY term; `nulls` says where they go, for PostgreSQL."""
        ordered = self.attribute.desc() if self.is_descending else self.attribute.asc()
        if nulls and self.is_nullable:
            return ordered.nulls_last() if self.is_descending else ordered.nulls_first()
        return ordered


def ordering_of(model: type[Any], order_by: str) -> tuple[Term, ...]:
    """Return the keys of an ordering like "age desc, username" or "-age".

    Raises `ValidationFailed` for what is no column of the model, or said twice.
    """
    columns = columns_of(model)
    terms: list[Term] = []
    for part in filter(None, (part.strip() for part in order_by.split(","))):
        match = _TERM.match(part)
        name = match[2] if match else part
        column = columns.get(name)
        if match is None or column is None or (match[1] and match[3]):
            known = ", ".join(columns)
            raise _bad(f"there is no field {name[:80]!r} to sort by; there are {known}")
        if any(term.name == name for term in terms):
            raise _bad(f"{name!r} is there twice")
        is_descending = bool(match[1]) or (match[3] or "").lower() == "desc"
        terms.append(_term(model, name, column, is_descending=is_descending))
    if len(terms) > _MAX_TERMS:
        raise _bad(f"at most {_MAX_TERMS} fields")
    for key in model.__mapper__.primary_key:
        name = model.__mapper__.get_property_by_column(key).key
        if all(term.name != name for term in terms):
            terms.append(_term(model, name, key, is_descending=False))
    return tuple(terms)


def rows_after(terms: Sequence[Term], values: Sequence[Any]) -> Any:
    """Return the condition for the rows that come after one with these sort values."""
    alternatives = []
    for position, (term, value) in enumerate(zip(terms, values, strict=True)):
        same = [
            _same(former, known)
            for former, known in zip(terms[:position], values[:position], strict=True)
        ]
        alternatives.append(and_(*same, _after(term, value)))
    return or_(*alternatives)


def encode_token(
    terms: Sequence[Term], item: Any, arguments: Mapping[str, Any], secret: bytes
) -> str:
    """Return the token that goes on after `item`."""
    values = [
        TypeAdapter(_type(term)).dump_python(getattr(item, term.name), mode="json")
        for term in terms
    ]
    payload = json.dumps([_digest(terms, arguments), values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sign(payload, secret) + payload).decode().rstrip("=")


def decode_token(
    token: str, terms: Sequence[Term], arguments: Mapping[str, Any], secret: bytes
) -> list[Any]:
    """Return the sort values in a token.

    Raises `InvalidArgument` for a token that was not made here, and for one of other arguments.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(payload, secret)):
        raise _invalid()
    digest, values = json.loads(payload)
    if digest != _digest(terms, arguments):
        raise InvalidArgument(
            "The page token belongs to a list with another ordering or other filters; keep all "
            "arguments but page_size and skip as they were",
            reason="PAGE_TOKEN_MISMATCH",
        )
    try:
        return [
            None if value is None else TypeAdapter(_type(term)).validate_python(value)
            for term, value in zip(terms, values, strict=True)
        ]
    except (ValidationError, ValueError):
        raise _invalid() from None


def _term(model: type[Any], name: str, column: Any, *, is_descending: bool) -> Term:
    return Term(
        name=name,
        attribute=getattr(model, name),
        is_descending=is_descending,
        is_nullable=bool(column.nullable),
    )


def _type(term: Term) -> Any:
    kind = python_type(term.attribute.property.columns[0])
    return kind | None if kind is not Any else kind


def _same(term: Term, value: Any) -> Any:
    return term.attribute.is_(None) if value is None else term.attribute == value


def _after(term: Term, value: Any) -> Any:
    attribute = term.attribute
    if value is None:
        return false() if term.is_descending else attribute.is_not(None)
    if not term.is_descending:
        return attribute > value
    return or_(attribute < value, attribute.is_(None)) if term.is_nullable else attribute < value


def _digest(terms: Sequence[Term], arguments: Mapping[str, Any]) -> str:
    shown = {name: repr(value) for name, value in sorted(arguments.items())}
    order = [(term.name, term.is_descending) for term in terms]
    text = json.dumps([order, shown], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sign(payload: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _bad(description: str) -> ValidationFailed:
    return ValidationFailed(
        field_errors=[FieldError(field="order_by", reason="ORDER_BY", description=description)]
    )


def _invalid() -> InvalidArgument:
    return InvalidArgument(
        "The page token was not made by this service; start again without one",
        reason="INVALID_PAGE_TOKEN",
    )
