"""JSON Web Tokens (RFC 7519, as RFC 8725 wants them checked) as bearer tokens."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwt import JWTClaimsRegistry
from joserfc.util import urlsafe_b64decode

from bali.auth.bearer import bearer_token
from bali.auth.issuer_keys import IssuerKeys, KeyTimes
from bali.auth.signing_keys import ALGORITHMS, SigningKey, SigningKeys, read_keys
from bali.errors import ConfigurationError, InvalidToken
from bali.resources import Context, Principal

__all__ = ["JwtAuthenticator"]

_log = logging.getLogger("bali.auth")

_MAX_TOKEN_BYTES = 8 * 1024
_MAX_JWKS_BYTES = 512 * 1024
#: What foreign bytes make the decoders raise: of their shape, their JSON, their depth, their sizes.
_MALFORMED = (JoseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)


class _Keys(Protocol):
    async def candidates(self, kid: str | None, algorithm: str) -> Sequence[SigningKey]: ...


class _FixedKeys:
    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    async def candidates(self, kid: str | None, algorithm: str) -> Sequence[SigningKey]:
        return self._keys.candidates(kid, algorithm)


class _Signatures(jws.JWSRegistry):
    """joserfc's rules, for tokens of any issuer: private header fields are let pass (RFC 7515)."""

    max_header_length = 4 * 1024

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=list(algorithms), strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return an algorithm without a warning: the app's author has chosen it."""
        return self.algorithms[name]


class JwtAuthenticator:
    """Finds the caller in a signed token: `Authorization: Bearer eyJ...`.

    A token is accepted when a key of the issuer has signed it with one of `algorithms`, `iss` is
    `issuer`, `aud` names `audience` (one of them, if there are several), `exp` is in the future,
    `nbf` and `iat`, if there, are past, and it has a `sub`. Clocks may differ by `leeway_seconds`.
    `token_type`: what the header's `typ` must be, such as `"at+jwt"` (RFC 9068).

    Keys come from `jwks_url` (https, unless on this machine), which is asked again in time, or are
    `keys`: a JWKS, or a list of JWKs and PEM texts. The principal's `id` is the `sub`, its
    `scopes` are those of `scope_claim` (a text with spaces, or a list), its `claims` all claims.

    A call without a token is anonymous. Raises `InvalidToken`, with the reason `TOKEN_EXPIRED`,
    `TOKEN_NOT_YET_VALID` or `TOKEN_INVALID`, and `Unavailable` when the issuer cannot be reached
    and its keys are not known. Arguments that would let anybody in raise `ConfigurationError`.
    """

    #: How OpenAPI tells of it.
    security_schemes: Mapping[str, Mapping[str, Any]] = MappingProxyType(
        {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    )

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        jwks_url: str | None = None,
        keys: Any = None,
        algorithms: Collection[str] = ("RS256", "ES256", "EdDSA"),
        leeway_seconds: int = 30,
        scope_claim: str = "scope",
        token_type: str | None = None,
        times: KeyTimes | None = None,
        max_token_bytes: int = _MAX_TOKEN_BYTES,
        max_jwks_bytes: int = _MAX_JWKS_BYTES,
    ) -> None:
        self._algorithms = _checked_algorithms(algorithms)
        self._keys = _keys_of(jwks_url, keys, times or KeyTimes(), max_jwks_bytes)
        self._signatures = _Signatures(self._algorithms)
        self._claims = JWTClaimsRegistry(
            leeway=_checked_leeway(leeway_seconds),
            iss={"essential": True, "value": _checked_text("issuer", issuer)},
            aud={"essential": True, "values": _checked_audience(audience)},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._scope_claim = scope_claim
        self._token_type = None if token_type is None else _media_type(token_type)
        self._max_token_bytes = max_token_bytes

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the principal of the call's token, None without a token."""
        token = bearer_token(context)
        if token is None:
            return None
        try:
            claims = await self._verified(token)
            return self._principal(claims)
        except ExpiredTokenError as error:
            raise InvalidToken("The token has expired", reason="TOKEN_EXPIRED") from error
        except _TooEarly as error:
            raise InvalidToken(
                "The token is not valid yet", reason="TOKEN_NOT_YET_VALID"
            ) from error
        except _MALFORMED as error:
            _log.debug("a token is refused: %s: %s", type(error).__name__, error)
            raise InvalidToken(reason="TOKEN_INVALID") from error

    async def _verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token; raise one of `_MALFORMED` for one that is not accepted."""
        if len(token) > self._max_token_bytes:
            raise ValueError(f"it has {len(token)} characters")
        algorithm, kid = self._header(token)
        for key in await self._keys.candidates(kid, algorithm):
            payload = self._payload(token, key)
            if payload is not None:
                return self._checked_claims(json.loads(payload))
        raise ValueError("no known key has signed it")

    def _header(self, token: str) -> tuple[str, str | None]:
        """Return the algorithm and the key's id; nothing of a header is trusted beyond these."""
        header = json.loads(urlsafe_b64decode(token.partition(".")[0].encode("ascii")))
        if not isinstance(header, dict):
            raise TypeError("its header is no object")
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise ValueError("its algorithm is not accepted")
        if kid is not None and not isinstance(kid, str):
            raise TypeError("its kid is no text")
        if "crit" in header:
            raise ValueError("its header demands extensions")
        if self._token_type is not None and _media_type(header.get("typ")) != self._token_type:
            raise ValueError("it is of another type")
        return algorithm, kid

    def _payload(self, token: str, key: SigningKey) -> bytes | None:
        try:
            found = jws.deserialize_compact(token, key, registry=self._signatures)
        except JoseError as error:
            _log.debug("a key does not fit a token: %s", error)
            return None
        return found.payload

    def _checked_claims(self, claims: Any) -> dict[str, Any]:
        if not isinstance(claims, dict):
            raise TypeError("its payload is no object")
        try:
            self._claims.validate(claims)
        except InvalidClaimError as error:
            if error.claim in ("nbf", "iat") and _is_number(claims[error.claim]):
                raise _TooEarly from error
            raise
        return claims

    def _principal(self, claims: dict[str, Any]) -> Principal:
        scopes = claims.get(self._scope_claim, "")
        if isinstance(scopes, str):
            scopes = scopes.split()
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise TypeError(f"its claim {self._scope_claim} is no list of scopes")
        return Principal(
            id=claims["sub"], scopes=frozenset(scopes), claims=MappingProxyType(claims)
        )


class _TooEarly(Exception):
    """The token will be valid later."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _media_type(value: Any) -> str:
    """Return a `typ` as it is compared (RFC 7515 section 4.1.9)."""
    return str(value).lower().removeprefix("application/")


def _keys_of(jwks_url: str | None, keys: Any, times: KeyTimes, max_bytes: int) -> _Keys:
    if (jwks_url is None) == (keys is None):
        raise ConfigurationError(
            "JwtAuthenticator takes either jwks_url, the address of the issuer's keys, or keys"
        )
    if jwks_url is not None:
        return IssuerKeys(jwks_url, times=times, max_bytes=max_bytes)
    try:
        return _FixedKeys(read_keys(keys))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"JwtAuthenticator(keys=...): {error}") from error


def _checked_algorithms(algorithms: Collection[str]) -> frozenset[str]:
    names = {algorithms} if isinstance(algorithms, str) else set(algorithms)
    unknown = sorted(names - ALGORITHMS.keys())
    if unknown or not names:
        raise ConfigurationError(
            f"JwtAuthenticator(algorithms=...): {', '.join(unknown) or 'nothing'} cannot be "
            f"checked with a public key; there are {', '.join(sorted(ALGORITHMS))}"
        )
    return frozenset(names)


def _checked_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"JwtAuthenticator({name}=...) must be a text, found {value!r}")
    return value


def _checked_audience(audience: Any) -> list[str]:
    values = [audience] if isinstance(audience, str) else list(audience or ())
    if not values:
        raise ConfigurationError(
            "JwtAuthenticator(audience=...) is empty: without it, tokens that were issued for "
            "other services would be accepted; write the name that the issuer knows this one by"
        )
    return [_checked_text("audience", value) for value in values]


def _checked_leeway(seconds: int) -> int:
    if not 0 <= seconds <= 300:  # noqa: PLR2004 - RFC 7519 section 4.1.4: no more than a few minutes
        raise ConfigurationError(
            f"JwtAuthenticator(leeway_seconds={seconds}): clocks may differ by 0 to 300 seconds"
        )
    return seconds
