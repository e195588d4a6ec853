"""Page tokens of the list of operations: signed, and bound to their caller (AIP-158)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from bali.errors import InvalidArgument

__all__ = ["decode_place", "encode_place"]

_SIGNATURE_BYTES = 16


def encode_place(number: int, owner: str, secret: bytes) -> str:
    """Return the token that goes on below a number."""
    text = str(number).encode()
    return base64.urlsafe_b64encode(_signature(text, owner, secret) + text).decode().rstrip("=")


def decode_place(token: str, owner: str, secret: bytes) -> int:
    """Return the number. Raises `InvalidArgument` for what is no token of this caller."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        data = b""
    signature, text = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
    if not text or not hmac.compare_digest(signature, _signature(text, owner, secret)):
        raise InvalidArgument(
            "The page token is not one of this list; leave it out to begin anew",
            reason="INVALID_PAGE_TOKEN",
        )
    return int(text)


def _signature(text: bytes, owner: str, secret: bytes) -> bytes:
    content = b"operations:" + owner.encode() + b":" + text
    return hmac.new(secret, content, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
