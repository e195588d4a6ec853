"""What a gRPC context says about a call, in our terms; and how a call is ended with an error."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import grpc

from bali.errors import BaliError
from bali.resources import Context, new_request_id
from bali.rpc.status import DETAILS_KEY, status_proto

__all__ = [
    "REQUEST_ID",
    "PeerResolver",
    "context_of",
    "host_and_port",
    "response_headers",
    "status_code",
    "trailers_of",
]

REQUEST_ID = "x-request-id"
#: Turns what gRPC calls the peer into the peer behind a relay.
PeerResolver = Callable[[str], str]

_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")
_SAFE_KEY = re.compile(r"[0-9a-z_.-]+\Z")
_SAFE_VALUE = re.compile(r"[\x20-\x7e]*\Z")
_FAR_SECONDS = 10 * 365 * 86400.0
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


def context_of(context: Any, resolve_peer: PeerResolver) -> Context:
    """Return our context of a call, from grpcio's, sync or async."""
    metadata: dict[str, str | bytes] = {}
    for key, value in context.invocation_metadata() or ():
        known = metadata.get(key)
        if isinstance(known, str) and isinstance(value, str):
            metadata[key] = f"{known}, {value}"
        else:
            metadata[key] = value
    remaining = context.time_remaining()
    deadline = None
    if remaining is not None and remaining < _FAR_SECONDS:
        deadline = time.monotonic() + remaining
    return Context(
        protocol="grpc",
        metadata=metadata,
        deadline_monotonic=deadline,
        request_id=request_id_of(metadata),
        peer=host_and_port(resolve_peer(context.peer())),
    )


def request_id_of(metadata: Mapping[str, str | bytes]) -> str:
    """Return the caller's request id when it is safe to repeat, else a new one."""
    given = metadata.get(REQUEST_ID)
    return given if isinstance(given, str) and _SAFE_ID.match(given) else new_request_id()


def host_and_port(peer: str) -> str:
    """Return `127.0.0.1:50` for gRPC's `ipv4:127.0.0.1:50`, as HTTP says it."""
    kind, _, address = peer.partition(":")
    return unquote(address) if kind in ("ipv4", "ipv6") else peer


def response_headers(context: Context) -> tuple[tuple[str, str], ...]:
    """Return the metadata that an action wants to send, without what gRPC does not allow."""
    return tuple(
        (key.lower(), value)
        for key, value in context.response_metadata.items()
        if _SAFE_KEY.match(key.lower())
        and _SAFE_VALUE.match(value)
        and not key.lower().startswith("grpc-")
        and not key.lower().endswith("-bin")
    )


def status_code(error: BaliError) -> grpc.StatusCode:
    """Return grpcio's name for the code of an error."""
    return _STATUS_CODES[int(error.code)]


def trailers_of(error: BaliError, request_id: str, domain: str) -> tuple[tuple[str, Any], ...]:
    """Return the trailing metadata that tells of an error."""
    status = status_proto(error, request_id, domain=domain)
    return ((REQUEST_ID, request_id), (DETAILS_KEY, status.SerializeToString()))
