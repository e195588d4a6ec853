"""What a call's HTTP headers say, and what its answer's headers may say."""

from __future__ import annotations

import functools
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

from bali.errors import InvalidArgument
from bali.propagation import new_request_id
from bali.resources import Context, PeerCertificate

__all__ = [
    "REQUEST_ID_HEADER",
    "TIMEOUT_HEADER",
    "HeaderMetadata",
    "PeerOf",
    "RawHeaders",
    "certificate_of",
    "metadata_of",
    "new_context",
    "peer_of",
    "request_id_of",
    "response_headers",
]

Scope: TypeAlias = MutableMapping[str, Any]
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
PeerOf: TypeAlias = Callable[[Scope], str]

REQUEST_ID_HEADER = "X-Request-Id"
TIMEOUT_HEADER = "X-Request-Timeout"

#: The extension of an ASGI scope in which bali's server puts the client's certificate.
_CERTIFICATE = "bali.peer_certificate"
_SCOPE_KEY = "bali.request_id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
#: Set by this adapter or by the server; an action's value would break the message.
_RESERVED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


class HeaderMetadata(Mapping[str, str | bytes]):
    """Headers by lower-case name, as `metadata_of` returns them; read when somebody asks for them.

    Most calls ask for one or two, many for none.
    """

    __slots__ = ("_headers", "_values", "raw")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = headers
        self._values: dict[str, str | bytes] | None = None
        #: The values as they came; of a header that was repeated, the last one.
        self.raw: dict[bytes, bytes] = dict(headers)

    def __getitem__(self, name: str) -> str | bytes:
        """Return a header's value."""
        return self._all[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value, `default` without one."""
        if name.encode("latin-1", "replace") not in self.raw and self._values is None:
            return default
        return self._all.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._all)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def __repr__(self) -> str:
        return repr(self._all)

    @property
    def _all(self) -> dict[str, str | bytes]:
        if self._values is None:
            self._values = metadata_of(self._headers)
        return self._values


def request_id_of(scope: Scope) -> str:
    """Return the id of a request: the caller's own if it is a sane one, else a new one.

    The id is kept in the scope, so that everything that answers this request quotes the same.
    """
    known = scope.get(_SCOPE_KEY)
    if isinstance(known, str):
        return known
    found = ""
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                found = given
                break
    scope[_SCOPE_KEY] = found = found or new_request_id()
    return found


def metadata_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str | bytes]:
    """Return headers by lower-case name; repeated ones as one value (RFC 9110 section 5.3)."""
    metadata: dict[str, str | bytes] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        former = metadata.get(name)
        if former is not None:
            value = f"{former!s}{'; ' if name == 'cookie' else ', '}{value}"
        metadata[name] = value
    return metadata


def peer_of(scope: Scope) -> str:
    """Return the client's address as `host:port`, `[host]:port` for IPv6, "" when unknown."""
    client = scope.get("client")
    return _address(client[0], client[1]) if client else ""


@functools.lru_cache(maxsize=1024)
def _address(host: Any, port: Any) -> str:
    """Write an address; the calls of one connection have the same."""
    host = str(host).removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def certificate_of(scope: Scope) -> PeerCertificate | None:
    """Return the client's certificate as the server has checked it, None without one."""
    found = (scope.get("extensions") or {}).get(_CERTIFICATE)
    return found if isinstance(found, PeerCertificate) else None


def new_context(scope: Scope, peer: PeerOf = peer_of) -> Context:
    """Return the context of a REST call.

    Raises `InvalidArgument` for a timeout that is not a decimal number of seconds.
    """
    metadata = HeaderMetadata(scope["headers"])
    timeout = metadata.get("x-request-timeout")
    return Context(
        protocol="rest",
        metadata=metadata,
        request_id=request_id_of(scope),
        peer=peer(scope),
        peer_certificate=certificate_of(scope),
        deadline_monotonic=None if timeout is None else time.monotonic() + _seconds(str(timeout)),
    )


def _seconds(text: str) -> float:
    stripped = text.strip()
    if not _SECONDS.fullmatch(stripped):
        raise InvalidArgument(
            f"The header {TIMEOUT_HEADER} is a number of seconds such as 2.5, found {text[:50]!r}",
            reason="INVALID_TIMEOUT",
        )
    return float(stripped)


def response_headers(metadata: Mapping[str, str]) -> RawHeaders:
    """Return an action's response metadata as headers.

    Names that are no header names are left out, and so are those that frame the message; control
    characters in a value become a space, and characters beyond Latin-1 a question mark.
    """
    headers: RawHeaders = []
    for given, value in metadata.items():
        name = given.lower()
        if name in _RESERVED or name.endswith("-bin") or not _FIELD_NAME.fullmatch(name):
            continue
        cleaned = _CONTROL.sub(" ", str(value)).strip()
        headers.append((name.encode("ascii"), cleaned.encode("latin-1", "replace")))
    return headers


def retry_after(seconds: float) -> bytes:
    """Return the value of `Retry-After` (RFC 9110 section 10.2.3): whole seconds, at least one."""
    return str(max(1, math.ceil(seconds))).encode("ascii")
