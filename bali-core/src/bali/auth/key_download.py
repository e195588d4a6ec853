"""The JWKS document of an issuer, fetched within bounds of time and size."""

from __future__ import annotations

import ipaddress
import time
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from bali.errors import ConfigurationError

__all__ = ["DownloadError", "check_address", "download"]

_CHUNK_BYTES = 64 * 1024
_HEADERS = {"Accept": "application/jwk-set+json, application/json", "User-Agent": "bali"}


class DownloadError(Exception):
    """The document could not be had; the message says why, for the log."""


class _NoRedirect(HTTPRedirectHandler):
    """Refuses redirects: the address is trusted, another one is not."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return None: the answer is then an error."""


def check_address(url: str) -> None:
    """Raise `ConfigurationError` unless keys from `url` can be trusted: https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    raise ConfigurationError(
        f"jwks_url {url!r}: whoever can change these keys can sign tokens, so the address must "
        "begin with https:// (http:// is for this machine alone, as in http://127.0.0.1:8080/jwks)"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def download(url: str, *, timeout_seconds: float, max_bytes: int) -> bytes:
    """Return the document at `url`; blocks, so call it in a thread.

    Raises `DownloadError` for anything but a whole answer of status 200 within the bounds.
    """
    ends = time.monotonic() + timeout_seconds
    # `url` has been through `check_address`: no scheme such as file: gets here.
    request = Request(url, headers=_HEADERS)  # noqa: S310
    try:
        with _opener().open(request, timeout=timeout_seconds) as response:
            if response.status != 200:  # noqa: PLR2004 - the status itself
                raise DownloadError(f"the status is {response.status}")
            return _body(response, ends=ends, max_bytes=max_bytes)
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise DownloadError(f"{type(error).__name__}: {error}") from error


def _opener() -> OpenerDirector:
    return build_opener(_NoRedirect)


def _body(response: Any, *, ends: float, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK_BYTES):
        size += len(part)
        if size > max_bytes:
            raise DownloadError(f"the document has more than {max_bytes} bytes")
        if time.monotonic() > ends:
            raise DownloadError("the document did not come in time")
        parts.append(part)
    if response.length:
        raise DownloadError("the document ended early")
    return b"".join(parts)
