"""Page tokens: where the next page of a list begins (AIP-158).

A token holds the sort values of the last row of a page, so a deep page costs what the first one
costs, and rows that come or go meanwhile neither repeat nor hide others. It is signed, and bound to
the model, the ordering and the filters it was made for.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from bali.database.columns import python_type
from bali.database.ordering import Term
from bali.errors import InvalidArgument

__all__ = ["Place", "decode_token", "digest_of", "encode_token", "invalid_token", "token_after"]

_SIGNATURE_BYTES = 16
#: Sort values that take more than this are not in the token: the row is looked up by its key.
_MAX_VALUES_BYTES = 2000
#: The types whose values are the same in JSON.
_PLAIN = frozenset({int, str, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place in a list that a token points to: after the row with these sort values.

    `values` is None when they were too long for a token; `key` is the row's key then.
    """

    values: tuple[Any, ...] | None
    key: Any = None


def encode_token(
    terms: Sequence[Term], item: Any, key_name: str, arguments: Mapping[str, Any], secret: bytes
) -> str:
    """Return the token that goes on after `item`."""
    values = [getattr(item, term.name) for term in terms]
    return token_after(terms, values, key_name, digest_of(terms, arguments), secret)


def token_after(
    terms: Sequence[Term], values: Sequence[Any], key_name: str, digest: str, secret: bytes
) -> str:
    """Return the token that goes on after the item with these sort values; see `digest_of`."""
    shown = [
        value if type(value) in _PLAIN else _adapter(term).dump_python(value, mode="json")
        for term, value in zip(terms, values, strict=True)
    ]
    payload = to_json({"a": digest, "v": shown})
    if len(payload) > _MAX_VALUES_BYTES:
        [key] = [place for place, term in enumerate(terms) if term.name == key_name]
        payload = to_json({"a": digest, "k": shown[key]})
    return base64.b64encode(_sign(payload, secret) + payload, b"-_").decode().rstrip("=")


def decode_token(
    token: str, terms: Sequence[Term], key_name: str, arguments: Mapping[str, Any], secret: bytes
) -> Place:
    """Return the place that a token points to.

    Raises `InvalidArgument` for a token that was not made here, and for one of other arguments.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid_token() from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(payload, secret)):
        raise invalid_token()
    content = json.loads(payload)
    if content["a"] != digest_of(terms, arguments):
        raise InvalidArgument(
            "The page token belongs to a list with another ordering or other filters; keep all "
            "arguments but page_size and skip as they were",
            reason="PAGE_TOKEN_MISMATCH",
        )
    try:
        if "k" in content:
            key = next(term for term in terms if term.name == key_name)
            return Place(values=None, key=_adapter(key).validate_python(content["k"]))
        pairs = zip(terms, content["v"], strict=True)
        values = tuple(_adapter(term).validate_python(value) for term, value in pairs)
    except (ValidationError, ValueError):
        raise invalid_token() from None
    return Place(values=values)


def invalid_token() -> InvalidArgument:
    """Return the error for a token that is none, or whose row is gone."""
    return InvalidArgument(
        "The page token is not valid; start again without one", reason="INVALID_PAGE_TOKEN"
    )


def _adapter(term: Term) -> TypeAdapter[Any]:
    return _adapter_of(python_type(term.column))


@functools.lru_cache(maxsize=1024)
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind | None)


def digest_of(terms: Sequence[Term], arguments: Mapping[str, Any]) -> str:
    """Return what a token says of the list that it belongs to."""
    return _digest_of(
        terms[0].column.table.fullname,
        tuple((term.name, term.is_descending) for term in terms),
        tuple((name, repr(value)) for name, value in sorted(arguments.items())),
    )


@functools.lru_cache(maxsize=256)
def _digest_of(
    table: str, order: tuple[tuple[str, bool], ...], arguments: tuple[tuple[str, str], ...]
) -> str:
    text = json.dumps([table, order, dict(arguments)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sign(payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, payload, "sha256")[:_SIGNATURE_BYTES]
