"""What HTTP has headers for and the AIPs have fields: etags, and ids of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bali.errors import FieldError, ValidationFailed
from bali.resources import Context
from bali.resources.etags import is_expected

__all__ = ["HEADERS", "add_preconditions", "is_known"]

#: The header that says the same as a reserved parameter (RFC 9110 section 13.1.1, and
#: draft-ietf-httpapi-idempotency-key-header).
HEADERS: Mapping[str, str] = {"etag": "If-Match", "request_id": "Idempotency-Key"}


def add_preconditions(
    arguments: dict[str, Any], metadata: Mapping[str, str | bytes], reserved: frozenset[str]
) -> None:
    """Add to the arguments of a call what its headers say.

    Raises `ValidationFailed` when an argument says something else.
    """
    for name, header in HEADERS.items():
        value = metadata.get(header.lower())
        if name not in reserved or value is None:
            continue
        text = value if isinstance(value, str) else value.decode("latin-1")
        if name == "request_id":
            text = text.strip().strip('"')  # the draft has it as a structured field, a string
        if arguments.setdefault(name, text) != text:
            description = f"the header {header} has another value"
            error = FieldError(field=name, reason="CONTRADICTION", description=description)
            raise ValidationFailed(field_errors=[error])


def is_known(context: Context) -> bool:
    """Tell whether the caller has the item already (`If-None-Match`, RFC 9110 13.1.2)."""
    known = context.metadata.get("if-none-match")
    return isinstance(known, str) and is_expected(known, context.etag, is_weak=True)
