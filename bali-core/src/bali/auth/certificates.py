"""Services that prove who they are by their TLS certificate (mutual TLS)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bali.errors import ConfigurationError, Unauthenticated
from bali.resources import Context, Principal

__all__ = ["PeerCertificateAuthenticator"]

_SUBJECT = "subject:"
_KINDS = ("DNS:", "URI:", "IP Address:", "email:", _SUBJECT)


class PeerCertificateAuthenticator:
    """Finds the caller in the client's certificate, which the server has checked (`--client-ca`).

    `allowed` says who is who: a principal, or just its id, for each name that a certificate may
    have, or a list of names that are the ids themselves. A name has its kind before it:
    `"DNS:billing.internal"`, `"URI:spiffe://example/billing"`, or, for the whole subject,
    `"subject:commonName=billing"`. Names are compared as they are: there are no wildcards.

    A call without a certificate is anonymous. A certificate with none of the names ends the call
    with `Unauthenticated` (reason `CERTIFICATE_NOT_ALLOWED`). One with names of two principals does
    too. Raises `ConfigurationError` for a name without a kind, and without any name.
    """

    #: How OpenAPI tells of it.
    security_schemes: Mapping[str, Mapping[str, Any]] = MappingProxyType(
        {"mutualTLS": {"type": "mutualTLS"}}
    )

    def __init__(self, *, allowed: Mapping[str, Principal | str] | Iterable[str]) -> None:
        if isinstance(allowed, str):
            allowed = [allowed]
        named = dict(allowed) if isinstance(allowed, Mapping) else {n: n for n in allowed}
        for name in named:
            _check_name(name)
        if not named:
            raise ConfigurationError("PeerCertificateAuthenticator(allowed=...) allows nobody")
        self._allowed = {
            name: Principal(id=who) if isinstance(who, str) else who for name, who in named.items()
        }

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the principal of the client's certificate, None without one."""
        certificate = context.peer_certificate
        if certificate is None:
            return None
        names = (*certificate.names, f"{_SUBJECT}{certificate.subject}")
        found = [self._allowed[name] for name in names if name in self._allowed]
        if not found or any(who != found[0] for who in found):
            raise Unauthenticated(
                "The client certificate is not accepted", reason="CERTIFICATE_NOT_ALLOWED"
            )
        return found[0]


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.startswith(_KINDS) or name in _KINDS:
        raise ConfigurationError(
            f"PeerCertificateAuthenticator(allowed=...): {name!r} needs its kind before it, as in "
            f'"DNS:billing.internal"; there are {", ".join(_KINDS)}'
        )
