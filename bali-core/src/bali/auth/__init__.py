"""Finding out who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bali.auth.any_of import AnyOf
from bali.auth.bearer import BearerAuthenticator, StaticTokens, Verify, bearer_token
from bali.auth.certificates import PeerCertificateAuthenticator
from bali.errors import ConfigurationError

if TYPE_CHECKING:
    from bali.auth.issuer_keys import KeyTimes
    from bali.auth.jwt import JwtAuthenticator

__all__ = [
    "AnyOf",
    "BearerAuthenticator",
    "JwtAuthenticator",
    "KeyTimes",
    "PeerCertificateAuthenticator",
    "StaticTokens",
    "Verify",
    "bearer_token",
]

_OF_THE_EXTRA = ("JwtAuthenticator", "KeyTimes")


def __getattr__(name: str) -> Any:
    if name not in _OF_THE_EXTRA:
        raise AttributeError(f"module 'bali.auth' has no attribute {name!r}")
    try:
        from bali.auth import issuer_keys, jwt  # noqa: PLC0415 - behind an optional extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("cryptography", "joserfc"):
            raise
        raise ConfigurationError(
            f"{name} needs the package joserfc; install it with: pip install 'bali-core[auth]'"
        ) from error
    return getattr(issuer_keys if name == "KeyTimes" else jwt, name)
