"""Tokens over every protocol: whose are accepted, and that no forged one is."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bali.auth import JwtAuthenticator
from bali.errors import BaliError, Code, ConfigurationError, InvalidToken
from bali.resources import Context, Principal
from bali.testing import LiveServer, ServiceClient
from tests.auth.issuer import AUDIENCE, ISSUER, Issuer, b64, claims_of, new_key, signed, token_of

KEY = new_key()
RSA = new_key("RSA", "r1")


def with_token(token: str) -> Context:
    return Context(metadata={"authorization": f"Bearer {token}"})


def authenticator(*keys: Any, **options: Any) -> JwtAuthenticator:
    public = [key.as_dict(private=False) for key in keys or (KEY, RSA)]
    given = {"issuer": ISSUER, "audience": AUDIENCE, "keys": public, **options}
    return JwtAuthenticator(**given)


async def reason_of(token: str, **options: Any) -> str:
    with pytest.raises(InvalidToken) as caught:
        await authenticator(**options).authenticate(with_token(token))
    return caught.value.reason


# Over every protocol


def test_a_good_token_gives_its_principal(client: ServiceClient, door_issuer: Issuer) -> None:
    token = token_of(door_issuer.keys[0])
    answer: Any = client.call("doors.who", {}, metadata={"authorization": f"Bearer {token}"})
    assert answer.result == "ann"


def test_scopes_of_the_token_decide(client: ServiceClient, door_issuer: Issuer) -> None:
    for scope, code in (("doors.open x", None), ("doors", Code.PERMISSION_DENIED)):
        token = token_of(door_issuer.keys[0], scope=scope)
        metadata = {"authorization": f"Bearer {token}"}
        if code is None:
            answer: Any = client.call("doors.opened", {}, metadata=metadata)
            assert answer.result == "open"
        else:
            with pytest.raises(BaliError) as caught:
                client.call("doors.opened", {}, metadata=metadata)
            assert caught.value.code is code


def _with_public_key(key: Any, secret: bytes) -> str:
    message = f"{b64({'alg': 'HS256', 'kid': key.kid})}.{b64(claims_of())}"
    return f"{message}.{b64(hmac.new(secret, message.encode(), 'sha256').digest())}"


def _other_payload(key: Any) -> str:
    header, _, signature = token_of(key).split(".")
    return f"{header}.{b64(claims_of(sub='root'))}.{signature}"


def _own_key_in_header(key: Any) -> str:
    mine = new_key(kid=key.kid)
    header = {"alg": "ES256", "kid": key.kid, "jwk": mine.as_dict(private=False)}
    return signed(mine, header, claims_of())


FORGED: dict[str, Callable[[Any], str]] = {
    "wrong key": lambda key: token_of(new_key(kid=key.kid)),
    "unknown key": lambda _: token_of(new_key(kid="other")),
    "changed payload": _other_payload,
    "own key in the header": _own_key_in_header,
    "alg none": lambda key: f"{b64({'alg': 'none', 'kid': key.kid})}.{b64(claims_of())}.",
    "alg None": lambda key: f"{b64({'alg': 'None', 'kid': key.kid})}.{b64(claims_of())}.",
    "no signature": lambda key: token_of(key).rpartition(".")[0] + ".",
    "HS256 with the key as PEM": lambda key: _with_public_key(key, key.as_pem(private=False)),
    "HS256 with the key as DER": lambda key: _with_public_key(key, key.as_der(private=False)),
    "HS256 with the key as JWK": lambda key: _with_public_key(
        key, json.dumps(key.as_dict(private=False)).encode()
    ),
    "HS256 with nothing": lambda key: _with_public_key(key, b""),
    "r and s are zero": lambda key: token_of(key).rpartition(".")[0] + "." + b64(bytes(64)),
    "wrong audience": lambda key: token_of(key, aud="other"),
    "audience that begins alike": lambda key: token_of(key, aud="door2"),
    "wrong issuer": lambda key: token_of(key, iss="https://issuer.test"),
    "missing exp": lambda key: token_of(key, exp=None),
    "missing sub": lambda key: token_of(key, sub=None),
    "missing aud": lambda key: token_of(key, aud=None),
    "missing iss": lambda key: token_of(key, iss=None),
    "empty sub": lambda key: token_of(key, sub=""),
    "sub is a list": lambda key: token_of(key, sub=["ann"]),
    "exp is text": lambda key: token_of(key, exp="9999999999"),
    "exp is endless": lambda key: token_of(key, exp=float("inf")),
    "exp is no number": lambda key: token_of(key, exp=float("nan")),
    "exp is true": lambda key: token_of(key, exp=True),
    "scope is a number": lambda key: token_of(key, scope=7),
    "critical extension": lambda key: signed(
        key, {"alg": "ES256", "kid": key.kid, "crit": ["b64"], "b64": True}, claims_of()
    ),
    "payload is a list": lambda key: signed(key, {"alg": "ES256", "kid": key.kid}, "[]"),
    "payload is no JSON": lambda key: signed(key, {"alg": "ES256", "kid": key.kid}, b"\xff{"),
    "huge": lambda key: token_of(key, filler="x" * 9000),
    "not base64": lambda _: "ey$!.ey$!.x",
    "standard base64": lambda key: token_of(key).replace("_", "/").replace("-", "+") + "=",
    "two parts": lambda key: token_of(key).rpartition(".")[0],
    "five parts (JWE)": lambda _: "a.b.c.d.e",
    "one part": lambda _: "secret",
    "header is a list": lambda key: f"{b64('[]')}.{b64(claims_of())}.{b64(key.kid)}",
    "header is text": lambda key: f"{b64(json.dumps('alg'))}.{b64(claims_of())}.{b64(key.kid)}",
    "header is deep": lambda _: f"{b64('[' * 5000)}.e30.e30",
    "alg is a list": lambda _: f"{b64({'alg': ['ES256']})}.e30.e30",
    "kid is an object": lambda _: f"{b64({'alg': 'ES256', 'kid': {}})}.e30.e30",
    "kid is a path": lambda _: f"{b64({'alg': 'ES256', 'kid': '../../dev/null'})}.e30.e30",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused_even_where_anybody_may_call(
    client: ServiceClient, door_issuer: Issuer, forge: Callable[[Any], str]
) -> None:
    token = forge(door_issuer.keys[0])
    with pytest.raises(BaliError) as caught:
        client.call("doors.state", {}, metadata={"authorization": f"Bearer {token}"})
    assert (caught.value.code, caught.value.reason) == (Code.UNAUTHENTICATED, "TOKEN_INVALID")
    assert caught.value.detail == "The token is not accepted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": -31}, "TOKEN_EXPIRED"),
        ({"nbf": 60}, "TOKEN_NOT_YET_VALID"),
        ({"iat": 60}, "TOKEN_NOT_YET_VALID"),
    ],
)
def test_the_time_of_a_token_is_told_apart(
    client: ServiceClient, door_issuer: Issuer, changes: dict[str, int], reason: str
) -> None:
    now = int(time.time())
    moved: dict[str, Any] = {name: now + seconds for name, seconds in changes.items()}
    token = token_of(door_issuer.keys[0], **moved)
    with pytest.raises(BaliError) as caught:
        client.call("doors.who", {}, metadata={"authorization": f"Bearer {token}"})
    assert (caught.value.code, caught.value.reason) == (Code.UNAUTHENTICATED, reason)


def test_rest_names_the_error_in_the_challenge(live: LiveServer) -> None:
    def challenge(headers: dict[str, str]) -> str:
        answer = httpx2.get(f"{live.url}/doors/who", headers=headers)
        assert answer.status_code == 401
        return answer.headers["www-authenticate"]

    assert challenge({"authorization": "Bearer x.y.z"}) == 'Bearer error="invalid_token"'
    assert challenge({}) == "Bearer"


# The authenticator itself


async def test_a_call_without_a_token_is_anonymous() -> None:
    assert await authenticator().authenticate(Context()) is None


async def test_the_principal_has_the_claims_and_cannot_be_changed() -> None:
    found = await authenticator().authenticate(with_token(token_of(KEY, org="acme")))
    assert isinstance(found, Principal)
    assert (found.id, found.claims["org"]) == ("ann", "acme")
    assert found.scopes == {"doors.open"}
    with pytest.raises(TypeError):
        found.claims["org"] = "other"  # type: ignore[index]  # that it is refused is the point


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("RSA", "RS256"), ("EC", "ES256"), ("OKP", "EdDSA"), ("RSA", "PS256")]
)
async def test_each_kind_of_key_works(kind: str, algorithm: str) -> None:
    key = new_key(kind)
    known = authenticator(key, algorithms=[algorithm])
    found = await known.authenticate(with_token(token_of(key, algorithm)))
    assert found is not None
    assert found.id == "ann"


async def test_an_algorithm_that_is_not_chosen_is_refused() -> None:
    token = token_of(RSA, "RS256")
    assert await reason_of(token, algorithms=["ES256"]) == "TOKEN_INVALID"
    assert await reason_of(token_of(RSA, "PS256")) == "TOKEN_INVALID"


async def test_keys_may_be_pem_texts_whatever_the_kid_of_a_token() -> None:
    pems = [key.as_pem(private=False).decode() for key in (KEY, RSA)]
    known = authenticator(keys=pems)
    for token in (token_of(KEY), token_of(RSA, "RS256")):
        assert await known.authenticate(with_token(token)) is not None


async def test_scopes_may_be_a_list_in_another_claim() -> None:
    known = authenticator(scope_claim="scp")
    found = await known.authenticate(with_token(token_of(KEY, scp=["a", "b"])))
    assert found is not None
    assert found.scopes == {"a", "b"}


async def test_one_of_several_audiences_is_enough() -> None:
    known = authenticator(audience=["gate", "door"])
    token = token_of(KEY, aud=["other", "gate"])
    assert await known.authenticate(with_token(token)) is not None


async def test_the_type_of_a_token_is_compared_when_wanted() -> None:
    header = {"alg": "ES256", "kid": "k1", "typ": "application/at+JWT"}
    known = authenticator(token_type="at+jwt")
    assert await known.authenticate(with_token(signed(KEY, header, claims_of()))) is not None
    assert await reason_of(token_of(KEY), token_type="at+jwt") == "TOKEN_INVALID"


async def test_clocks_may_differ_by_the_leeway_alone() -> None:
    now = int(time.time())
    late = token_of(KEY, exp=now - 20)
    assert await authenticator().authenticate(with_token(late)) is not None
    assert await reason_of(late, leeway_seconds=0) == "TOKEN_EXPIRED"


@given(token=st.text(alphabet=st.characters(max_codepoint=255, exclude_characters=" ")))
async def test_no_text_is_more_than_refused(token: str) -> None:
    with pytest.raises(BaliError) as caught:
        await authenticator(KEY).authenticate(with_token(token or "."))
    assert caught.value.code is Code.UNAUTHENTICATED


@given(
    header=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "use"]), inner
        ),
    ),
    payload=st.binary(max_size=64),
)
async def test_no_header_is_more_than_refused(header: Any, payload: bytes) -> None:
    if isinstance(header, dict):
        header = {"alg": "ES256", **header}
    token = f"{b64(json.dumps(header))}.{b64(payload)}.{b64(bytes(64))}"
    with pytest.raises(InvalidToken):
        await authenticator(KEY).authenticate(with_token(token))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": None}, "either jwks_url"),
        ({"jwks_url": "https://x.test/jwks"}, "either jwks_url"),
        ({"keys": None, "jwks_url": "http://issuer.test/jwks"}, "https://"),
        ({"keys": None, "jwks_url": "file:///etc/passwd"}, "https://"),
        ({"keys": None, "jwks_url": "http://127.0.0.1.evil.test/jwks"}, "https://"),
        ({"keys": []}, "no key"),
        ({"keys": ["secret"]}, "BEGIN PUBLIC KEY"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "'oct' has no public key"),
        ({"keys": [KEY.as_dict(private=True)]}, "private key"),
        ({"algorithms": ["none"]}, "none cannot be checked"),
        ({"algorithms": ["ES256", "HS256"]}, "HS256 cannot be checked"),
        ({"algorithms": []}, "nothing"),
        ({"audience": ""}, "audience"),
        ({"audience": []}, "audience"),
        ({"issuer": ""}, "issuer"),
        ({"leeway_seconds": 3600}, "leeway_seconds"),
    ],
)
def test_what_would_let_anybody_in_is_refused_at_start(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        authenticator(**options)


def test_without_its_package_the_extra_is_named() -> None:
    code = "import sys; sys.modules['joserfc'] = None; from bali import JwtAuthenticator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'bali-core[auth]'" in done.stderr.splitlines()[-1]


def test_the_package_is_loaded_for_tokens_alone() -> None:
    code = (
        "import sys; from bali import Bali, StaticTokens, PeerCertificateAuthenticator; "
        "print('joserfc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n"
