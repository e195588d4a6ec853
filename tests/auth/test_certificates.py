"""Callers known by their certificate: real ones, on the one port, over every protocol."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import grpc
import httpx2
import pytest

from bali import AnyOf, Bali, IsAuthenticated, PeerCertificateAuthenticator, Resource, action
from bali.auth import StaticTokens
from bali.errors import ConfigurationError, Unauthenticated
from bali.resources import Context, PeerCertificate, Principal
from bali.testing import LiveServer, live_server
from tests.clients.certificates import make

Paths = dict[str, str]
#: Asks `who` with the client certificate of the paths, and a token; returns the answer or the code.
Ask = Callable[[LiveServer, Paths, str | None], str]


class PartResource(Resource):
    permission_classes = (IsAuthenticated,)

    @action(methods=["get"])
    async def who(self) -> str:
        certificate = self.context.peer_certificate
        names = "" if certificate is None else ",".join((certificate.subject, *certificate.names))
        return f"{self.auth.id if self.auth else ''} <- {names}"


def make_app(allowed: Any = None) -> Bali:
    known = PeerCertificateAuthenticator(allowed=allowed or {"DNS:localhost": "billing"})
    return Bali(
        title="part",
        resources=[PartResource],
        authenticator=AnyOf(StaticTokens({"t": "ann"}), known),
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return make(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def nobody(ours: Paths) -> Paths:
    """A client who trusts our authority and has no certificate."""
    return {"ca": ours["ca"]}


@pytest.fixture(scope="module")
def stranger(ours: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A client with the same names, signed by an authority that is not ours."""
    theirs = make(tmp_path_factory.mktemp("theirs"))
    return {**theirs, "ca": ours["ca"]}


def serve(
    ours: Paths, app: Bali, client_certificates: Literal["required", "optional"]
) -> Iterator[LiveServer]:
    with live_server(
        app,
        host="localhost",
        certfile=ours["server_cert"],
        keyfile=ours["server_key"],
        client_ca_file=ours["ca"],
        client_certificates=client_certificates,
    ) as live:
        yield live


@pytest.fixture(scope="module")
def optional(ours: Paths) -> Iterator[LiveServer]:
    yield from serve(ours, make_app(), "optional")


@pytest.fixture(scope="module")
def required(ours: Paths) -> Iterator[LiveServer]:
    yield from serve(ours, make_app(), "required")


def _http(live: LiveServer, who: Paths, method: str, path: str, token: str | None) -> str:
    context = ssl.create_default_context(cafile=who["ca"])
    if "client_cert" in who:
        context.load_cert_chain(who["client_cert"], who["client_key"])
    headers = {"content-type": "application/json"}
    # What a proxy would send, and a forger: the server believes its own handshake alone.
    headers |= {"x-forwarded-client-cert": "Subject=root", "x-ssl-client-s-dn": "CN=root"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    try:
        with httpx2.Client(verify=context) as client:
            body = b"{}" if method == "POST" else None
            answer = client.request(method, f"{live.url}{path}", headers=headers, content=body)
    except httpx2.TransportError:
        return "NO CONNECTION"
    if answer.is_success:
        return str(json.loads(answer.content)["result"])
    found = answer.json()
    return str(found["code"]).upper()


def _rest(live: LiveServer, who: Paths, token: str | None) -> str:
    return _http(live, who, "GET", "/parts/who", token)


def _connect(live: LiveServer, who: Paths, token: str | None) -> str:
    return _http(live, who, "POST", "/part.PartService/WhoParts", token)


def _grpc(live: LiveServer, who: Paths, token: str | None) -> str:
    pair = [Path(who[name]).read_bytes() for name in ("client_key", "client_cert") if name in who]
    credentials = grpc.ssl_channel_credentials(Path(who["ca"]).read_bytes(), *pair)
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.secure_channel(live.address, credentials) as channel:
        try:
            path = "/part.PartService/WhoParts"
            call: Any = channel.unary_unary(path)
            answer: bytes = call(b"", metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            code = error.code()
            return "NO CONNECTION" if code is grpc.StatusCode.UNAVAILABLE else code.name
    return answer[2:].decode()


@pytest.fixture(params=[_rest, _grpc, _connect], ids=["rest", "grpc", "connect"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


NAMES = "commonName=localhost,DNS:localhost"


def test_a_certificate_is_its_principal(
    ask: Ask, required: LiveServer, optional: LiveServer, ours: Paths
) -> None:
    for live in (required, optional):
        assert ask(live, ours, None) == f"billing <- {NAMES}"


def test_a_token_comes_first(ask: Ask, required: LiveServer, ours: Paths) -> None:
    assert ask(required, ours, "t") == f"ann <- {NAMES}"


def test_a_wrong_token_is_not_made_good_by_a_certificate(
    ask: Ask, required: LiveServer, ours: Paths
) -> None:
    assert ask(required, ours, "wrong") == "UNAUTHENTICATED"


def test_without_a_certificate_a_call_is_anonymous_where_that_is_optional(
    ask: Ask, optional: LiveServer, nobody: Paths
) -> None:
    assert ask(optional, nobody, None) == "UNAUTHENTICATED"
    assert ask(optional, nobody, "t") == "ann <- "


def test_without_a_certificate_there_is_no_connection_where_it_is_required(
    ask: Ask, required: LiveServer, nobody: Paths
) -> None:
    assert ask(required, nobody, "t") == "NO CONNECTION"


def test_a_certificate_of_another_authority_never_connects(
    ask: Ask, required: LiveServer, optional: LiveServer, stranger: Paths
) -> None:
    for live in (required, optional):
        assert ask(live, stranger, "t") == "NO CONNECTION"


def test_a_certificate_that_is_not_allowed_is_refused(ask: Ask, ours: Paths) -> None:
    app = make_app({"DNS:other": "other"})
    for live in serve(ours, app, "required"):
        assert ask(live, ours, None) == "UNAUTHENTICATED"


# The authenticator itself


def known_by(*names: str, subject: str = "") -> Context:
    return Context(peer_certificate=PeerCertificate(subject=subject, names=names))


async def test_names_are_the_ids_when_only_names_are_given() -> None:
    allowed = PeerCertificateAuthenticator(allowed=["URI:spiffe://example/billing"])
    found = await allowed.authenticate(known_by("DNS:x", "URI:spiffe://example/billing"))
    assert found == Principal(id="URI:spiffe://example/billing")
    assert await allowed.authenticate(Context()) is None


async def test_the_whole_subject_may_be_the_name() -> None:
    billing = Principal(id="billing", scopes=frozenset({"parts.read"}))
    allowed = PeerCertificateAuthenticator(allowed={"subject:commonName=billing": billing})
    assert await allowed.authenticate(known_by(subject="commonName=billing")) is billing
    for subject in ("commonName=billing2", "organizationName=x,commonName=billing", ""):
        with pytest.raises(Unauthenticated) as caught:
            await allowed.authenticate(known_by(subject=subject))
        assert caught.value.reason == "CERTIFICATE_NOT_ALLOWED"


async def test_a_certificate_with_the_names_of_two_is_nobodys() -> None:
    allowed = PeerCertificateAuthenticator(allowed={"DNS:a": "a", "DNS:b": "b"})
    with pytest.raises(Unauthenticated):
        await allowed.authenticate(known_by("DNS:a", "DNS:b"))


@pytest.mark.parametrize("allowed", [[], {}, ["billing"], ["DNS:"], [7], "billing"])
def test_names_that_say_too_little_are_refused_at_start(allowed: Any) -> None:
    with pytest.raises(ConfigurationError, match="allowed"):
        PeerCertificateAuthenticator(allowed=allowed)


@pytest.mark.parametrize("parts", [(), (StaticTokens,), ("token",)])
def test_any_of_takes_authenticators_alone(parts: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="AnyOf"):
        AnyOf(*parts)
