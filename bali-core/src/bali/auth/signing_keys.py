"""Public keys that tokens are checked with (RFC 7517), and which of them fit a token."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

__all__ = ["ALGORITHMS", "SigningKey", "SigningKeys", "read_jwks", "read_keys"]

SigningKey: TypeAlias = RSAKey | ECKey | OKPKey

#: Every algorithm with a key pair, and the type and curves of its keys (RFC 7518, 8037, 9864).
ALGORITHMS: Mapping[str, tuple[str, frozenset[str]]] = {
    **{name: ("RSA", frozenset()) for name in ("RS256", "RS384", "RS512")},
    **{name: ("RSA", frozenset()) for name in ("PS256", "PS384", "PS512")},
    "ES256": ("EC", frozenset({"P-256"})),
    "ES384": ("EC", frozenset({"P-384"})),
    "ES512": ("EC", frozenset({"P-521"})),
    "EdDSA": ("OKP", frozenset({"Ed25519", "Ed448"})),
    "Ed25519": ("OKP", frozenset({"Ed25519"})),
    "Ed448": ("OKP", frozenset({"Ed448"})),
}

_log = logging.getLogger("bali.auth")

_MAX_KEYS = 100
#: How many keys one token is tried with; more than one fits only while keys have no `kid`.
_MAX_CANDIDATES = 4
#: RFC 7518 section 3.3 wants 2048 bits; far more would make each call expensive.
_RSA_BITS = range(2048, 8192 + 1)
_KINDS = frozenset({"RSA", "EC", "OKP"})


class SigningKeys:
    """A set of public keys, by their ids."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._keys = list(keys)
        self._by_id: dict[str | None, list[SigningKey]] = {}
        for key in self._keys:
            self._by_id.setdefault(key.kid, []).append(key)

    def __len__(self) -> int:
        return len(self._keys)

    def candidates(self, kid: str | None, algorithm: str) -> Sequence[SigningKey]:
        """Return the few keys that may have signed a token with this header.

        A token that names no key is tried with those of its algorithm, if they are few, and one
        that names an unknown key with those that have no name.
        """
        known = self._keys if kid is None else self._by_id.get(kid) or self._by_id.get(None, [])
        found = [key for key in known if _fits(key, algorithm)]
        return found if len(found) <= _MAX_CANDIDATES else []


def _fits(key: SigningKey, algorithm: str) -> bool:
    kind, curves = ALGORITHMS[algorithm]
    if key.key_type != kind or (curves and key.get("crv") not in curves):
        return False
    return key.get("use") in (None, "sig") and key.alg in (None, algorithm)


def read_jwks(document: bytes) -> SigningKeys:
    """Return the keys of a JWKS document that can check signatures; the others are left out.

    Raises `ValueError` for what is no JWKS, holds more than 100 keys, or none of use.
    """
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    listed = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list `keys`")  # noqa: TRY004 - a document, not an argument
    if len(listed) > _MAX_KEYS:
        raise ValueError(f"it has {len(listed)} keys, more than {_MAX_KEYS}")
    keys: list[SigningKey] = []
    for number, item in enumerate(listed):
        try:
            keys.append(_read_jwk(item))
        except ValueError as error:
            _log.debug("key %d of the JWKS is not used: %s", number, error)
    if not keys:
        raise ValueError("none of its keys can check a signature")
    return SigningKeys(keys)


def read_keys(given: Any) -> SigningKeys:
    """Return the keys that a programmer wrote: JWKs, PEM texts, a list of either, or a JWKS.

    Raises `ValueError` for one that cannot check signatures.
    """
    if isinstance(given, Mapping) and "keys" in given:
        given = given["keys"]
    items = [given] if isinstance(given, (str, bytes, Mapping)) else list(given)
    keys = [
        _read_pem(item) if isinstance(item, (str, bytes)) else _read_jwk(item) for item in items
    ]
    if not keys:
        raise ValueError("there is no key in it")
    return SigningKeys(keys)


def _read_jwk(item: Any) -> SigningKey:
    """Return a key; raise `ValueError` for one that has no public half, or is too weak."""
    if not isinstance(item, Mapping):
        raise ValueError("a key is an object (RFC 7517)")  # noqa: TRY004 - a document's part
    kind = item.get("kty")
    if kind not in _KINDS:
        raise ValueError(f"kty {str(kind)[:20]!r} has no public key")
    if "d" in item:
        raise ValueError("it is a private key; take its public half")
    if kind == "RSA":
        _check_size(len(str(item.get("n", ""))) * 6 // 8 * 8)
    try:
        key = JWKRegistry.import_key(dict(item))
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"it is not a valid {kind} key ({error})") from error
    if isinstance(key, (RSAKey, ECKey, OKPKey)):
        return key
    raise ValueError(f"kty {kind!r} has no public key")


def _read_pem(text: str | bytes) -> SigningKey:
    try:
        native: Any = load_pem_public_key(text.encode() if isinstance(text, str) else text)
    except ValueError as error:
        raise ValueError(
            "a key is a JWK, or text that begins with -----BEGIN PUBLIC KEY-----"
        ) from error
    if isinstance(native, RSAPublicKey):
        _check_size(native.key_size)
        return RSAKey.import_key(native)
    if isinstance(native, EllipticCurvePublicKey):
        return ECKey.import_key(native)
    if isinstance(native, (Ed25519PublicKey, Ed448PublicKey)):
        return OKPKey.import_key(native)
    raise ValueError(f"{type(native).__name__} is no key of an algorithm for tokens")


def _check_size(bits: int) -> None:
    if bits not in _RSA_BITS:
        raise ValueError(f"an RSA key has 2048 to 8192 bits, this one {bits}")
