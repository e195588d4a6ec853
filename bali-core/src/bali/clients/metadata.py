"""The metadata that goes with a call, and what gRPC can carry of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from bali.clients.method import CallOptions
from bali.clients.options import ClientOptions
from bali.propagation import child_span, current, new_traceparent

__all__ = ["checked_metadata", "metadata_of"]

log = logging.getLogger("bali.clients")

#: gRPC over HTTP/2, "Requests": Header-Name and ASCII-Value.
_NAME = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")


def metadata_of(options: ClientOptions, call: CallOptions) -> tuple[tuple[str, str | bytes], ...]:
    """Return what is sent with a call: trace, what is forwarded, then the client's and the call's.

    Raises `TypeError` and `ValueError` like `checked_metadata`. Of what a caller of ours sent, gRPC
    may not be able to carry a value: that one stays here, and the log says so.
    """
    found: dict[str, str | bytes] = {}
    around = current.get()
    if around is None:
        found["traceparent"] = new_traceparent(None)
    else:
        found["traceparent"] = child_span(around.traceparent)
        found["x-request-id"] = around.request_id
        for name in ("tracestate", *options.forward):
            if (value := around.metadata.get(name.lower())) is not None:
                _forward(found, name.lower(), value)
    for more in (options.metadata, call.get("metadata")):
        if more:
            found.update(checked_metadata(more))
    return tuple(found.items())


def checked_metadata(given: Any) -> dict[str, str | bytes]:
    """Return metadata with its names in lower case.

    Raises `TypeError` for what is no mapping and for values that are neither text nor, under a name
    that ends with -bin, bytes; `ValueError` for names and text that gRPC cannot carry.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"metadata is {type(given).__name__}; give a mapping, like {{'x-tenant': 'acme'}}"
        )
    checked: dict[str, str | bytes] = {}
    for key, value in given.items():
        name = key.lower() if isinstance(key, str) else key
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"metadata cannot have the name {key!r}; a name has letters a to z, digits, "
                "hyphens, underscores and dots"
            )
        checked[name] = _value(name, value)
    return checked


def _value(name: str, value: Any) -> str | bytes:
    if name.endswith("-bin"):
        if not isinstance(value, bytes):
            raise TypeError(
                f"metadata {name!r} is {type(value).__name__}; a name that ends with -bin has bytes"
            )
        return value
    if not isinstance(value, str | bytes):
        raise TypeError(f"metadata {name!r} is {type(value).__name__}; give text, as in str(value)")
    text = value if isinstance(value, str) else value.decode("latin-1")
    if not _TEXT.fullmatch(text):
        raise ValueError(
            f"metadata {name!r} has characters other than printable ASCII; send "
            f"{name + '-bin'!r} with bytes, as in value.encode(), or quote the text"
        )
    return value


def _forward(found: dict[str, str | bytes], name: str, value: str | bytes) -> None:
    try:
        found.update(checked_metadata({name: value}))
    except (TypeError, ValueError) as error:
        log.warning("not forwarded: %s", error)
