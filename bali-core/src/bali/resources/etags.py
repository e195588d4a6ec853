"""Etags: a short text that changes whenever an item does, as a caller sees it (AIP-154)."""

from __future__ import annotations

import binascii
import hashlib
import json
from typing import Any

from pydantic import BaseModel

from bali.schemas import MapNode, Node, Record, Scalar, ScalarKind, records_of
from bali.schemas.answers import answers_of
from bali.schemas.payload import encoder_for

__all__ = ["Etags", "is_expected"]

_DIGEST_BYTES = 12
#: From base64 to the form of it that may be part of a URL.
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Etags:
    """Makes the etags of items of one schema: equal on every protocol, process and database.

    An etag is a hash of the fields that a caller sees, so it tells nothing of the others; `version`
    names a field that counts the changes instead.
    """

    def __init__(
        self, schema: type[BaseModel], record: Record, *, version: str | None = None
    ) -> None:
        self.schema = schema
        self._version = version if version in schema.model_fields else None
        self._encode = encoder_for(record, schema)
        self._answers = answers_of(record, schema)
        #: The order of keys in what is stored as JSON is the database's own.
        self._is_sorted = any(
            _has_open_keys(field.node) for item in records_of(record) for field in item.fields
        )

    def of_stored(self, item: Any) -> str:
        """Return the etag of an item as it is stored, or as an action returns it."""
        answers = self._answers
        if type(item) is not self.schema:
            item = (
                answers.read(item)
                if answers is not None
                else self.schema.model_validate(item, from_attributes=True, by_name=True)
            )
        return self.of(item if answers is None else answers.without_input(item))

    def of(self, item: BaseModel) -> str:
        """Return the etag of an item, in quotes as on the wire (RFC 9110 section 8.8.3)."""
        if self._version is not None:
            return f'"{getattr(item, self._version)}"'
        content = b"" if self._encode is None else self._encode(item)
        if self._is_sorted:
            content = json.dumps(json.loads(content), sort_keys=True).encode()
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
        text = binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE)
        return f'"{text.decode("ascii")}"'


def is_expected(expected: str, etag: str, *, is_weak: bool = False) -> bool:
    """Tell whether an etag is one of those in a list as of `If-Match`: `"a", "b"`, or `*`.

    One alone may lack its quotes. `is_weak` compares as `If-None-Match` does, where `W/` counts for
    nothing (RFC 9110 section 8.8.3.2).
    """
    for part in expected.split(","):
        text = part.strip()
        if is_weak:
            text = text.removeprefix("W/")
        if text == "*" or text in (etag, etag.strip('"')):
            return True
    return False


def _has_open_keys(node: Node) -> bool:
    while hasattr(node, "item"):
        node = node.item
    return isinstance(node, MapNode) or (isinstance(node, Scalar) and node.kind is ScalarKind.ANY)
