"""What a gRPC context says about a call, in our terms; needed without grpcio, by Connect, too."""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from google.protobuf.message import Message

from bali.errors import Internal, InvalidArgument
from bali.proto import EncodeError
from bali.resources import Context, PeerCertificate, new_request_id

__all__ = [
    "ETAG",
    "MAX_STATUS_BYTES",
    "REQUEST_ID",
    "DirectPeer",
    "PeerResolver",
    "RemotePeer",
    "answer_trailers",
    "context_of",
    "host_and_port",
    "malformed_message",
    "message_of",
    "request_id_of",
    "response_headers",
]

_log = logging.getLogger("bali.calls")

REQUEST_ID = "x-request-id"
ETAG = "etag"


class RemotePeer(Protocol):
    """The client of a call: its address as gRPC writes it, and its certificate, if it has one."""

    @property
    def address(self) -> str:
        """The address, as in `ipv4:10.0.0.7:51234`."""
        ...

    @property
    def certificate(self) -> PeerCertificate | None:
        """Whom the certificate names, None without one."""
        ...


@dataclass(frozen=True, slots=True)
class DirectPeer:
    """A client without a relay between."""

    address: str
    certificate: PeerCertificate | None = None


#: Turns what gRPC calls the peer into the peer behind a relay.
PeerResolver = Callable[[str], RemotePeer]

#: The same as over REST.
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")
_SAFE_KEY = re.compile(r"[0-9a-z_.-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
#: Set by gRPC, by HTTP/2 or by us.
_RESERVED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        REQUEST_ID,
    }
)
#: Clients take 8 KiB of metadata in all, percent-encoded and in base64 (grpc.max_metadata_size).
MAX_STATUS_BYTES = 4096
_FAR_SECONDS = 10 * 365 * 86400.0


def context_of(context: Any, resolve_peer: PeerResolver) -> Context:
    """Return our context of a call, from grpcio's, sync or async."""
    given = context.invocation_metadata() or ()
    metadata: dict[str, str | bytes] = dict(given)
    if len(metadata) != len(given):
        metadata = _joined(given)
    remaining = context.time_remaining()
    deadline = None
    if remaining is not None and remaining < _FAR_SECONDS:
        deadline = time.monotonic() + remaining
    peer = resolve_peer(context.peer())
    return Context(
        protocol="grpc",
        metadata=metadata,
        deadline_monotonic=deadline,
        request_id=request_id_of(metadata),
        peer=host_and_port(peer.address),
        peer_certificate=peer.certificate,
    )


def _joined(given: Iterable[tuple[str, str | bytes]]) -> dict[str, str | bytes]:
    """Return metadata by key; what was sent several times is one value with commas."""
    metadata: dict[str, str | bytes] = {}
    for key, value in given:
        known = metadata.get(key)
        if isinstance(known, str) and isinstance(value, str):
            metadata[key] = f"{known}, {value}"
        else:
            metadata[key] = value
    return metadata


def request_id_of(metadata: Mapping[str, str | bytes]) -> str:
    """Return the caller's request id when it is safe to repeat, else a new one."""
    given = metadata.get(REQUEST_ID)
    return given if isinstance(given, str) and _SAFE_ID.match(given) else new_request_id()


@functools.lru_cache(maxsize=1024)
def host_and_port(peer: str) -> str:
    """Return `127.0.0.1:50` for gRPC's `ipv4:127.0.0.1:50`, as HTTP says it."""
    kind, _, address = peer.partition(":")
    return unquote(address) if kind in ("ipv4", "ipv6") else peer


def response_headers(context: Context) -> tuple[tuple[str, str], ...]:
    """Return the metadata that an action wants to send.

    Names that gRPC does not allow, or sets itself, are left out; control characters in a value
    become a space, and those beyond ASCII a question mark.
    """
    if not context.response_metadata:
        return ()
    return tuple(
        (name, _CONTROL.sub(" ", str(value)).strip().encode("ascii", "replace").decode())
        for name, value in ((str(key).lower(), v) for key, v in context.response_metadata.items())
        if _SAFE_KEY.match(name)
        and name not in _RESERVED
        and not name.startswith("grpc-")
        and not name.endswith("-bin")
    )


def message_of(encode: Callable[[Any], Message], result: Any, context: Context) -> Message:
    """Return the message of a result; raise `Internal` for one that the message cannot hold."""
    try:
        return encode(result)
    except EncodeError as error:
        _log.error(
            "the result of %s does not fit its message, request id %s: %s",
            context.operation,
            context.request_id,
            error,
            extra={"operation": context.operation, "request_id": context.request_id},
        )
        raise Internal from error


def malformed_message() -> InvalidArgument:
    """Return the error for bytes that are no message of the method."""
    return InvalidArgument(
        "The request is not a message of this method", reason="MALFORMED_MESSAGE"
    )


def answer_trailers(context: Context) -> tuple[tuple[str, str], ...]:
    """Return the trailing metadata of an answer: the request id, and the etag of an item."""
    if context.etag:
        return ((REQUEST_ID, context.request_id), (ETAG, context.etag))
    return ((REQUEST_ID, context.request_id),)
