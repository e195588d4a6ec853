"""The messages of common/types.proto as pydantic models.

Written by `bali add`; do not edit. The next `bali update` writes it anew.
"""

from __future__ import annotations

from typing import ClassVar

from bali.clients import OpenEnum, Schema
from google.protobuf.message import Message

from . import types_pb2

__all__ = [
    "Address",
    "Country",
]


class Country(OpenEnum):
    """One of a set of values."""

    UNSPECIFIED = 0
    IT = 1


class Address(Schema):
    """Where somebody lives."""

    message_type: ClassVar[type[Message]] = types_pb2.Address

    street: str = ""
    country: Country = Country.UNSPECIFIED
