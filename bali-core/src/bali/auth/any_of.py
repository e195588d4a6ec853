"""Several ways to prove who calls, in one service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bali.errors import ConfigurationError
from bali.resources import Authenticator, Context, Principal

__all__ = ["AnyOf"]

_BEARER: Mapping[str, Mapping[str, Any]] = {"bearer": {"type": "http", "scheme": "bearer"}}


class AnyOf:
    """Asks authenticators in order; the first who knows the caller decides.

    `AnyOf(JwtAuthenticator(...), PeerCertificateAuthenticator(...))`: a call with a token is its
    owner's, one without is the certificate's. Credentials that one of them refuses end the call:
    a wrong token is never made good by a certificate. Raises what that authenticator raises.
    """

    def __init__(self, *authenticators: Authenticator) -> None:
        for item in authenticators:
            if isinstance(item, type) or not callable(getattr(item, "authenticate", None)):
                raise ConfigurationError(
                    f"AnyOf(...): {item!r} is no object with a method `authenticate(context)`"
                )
        if not authenticators:
            raise ConfigurationError("AnyOf() needs at least one authenticator")
        self._authenticators = authenticators

    @property
    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        """How OpenAPI tells of them."""
        found: dict[str, Mapping[str, Any]] = {}
        for item in self._authenticators:
            found.update(getattr(item, "security_schemes", _BEARER))
        return MappingProxyType(found)

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the caller whom the first of them knows, None when none does."""
        for item in self._authenticators:
            principal = await item.authenticate(context)
            if principal is not None:
                return principal
        return None
