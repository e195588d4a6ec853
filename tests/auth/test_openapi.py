"""What the OpenAPI document says of who may call, and how they prove who they are."""

from __future__ import annotations

from typing import Any

import pytest

from bali import (
    AllowAny,
    AnyOf,
    Bali,
    HasScope,
    IsAuthenticated,
    JwtAuthenticator,
    PeerCertificateAuthenticator,
    Resource,
    action,
)
from bali.auth import StaticTokens
from tests.auth.issuer import AUDIENCE, ISSUER, new_key

JWT = JwtAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=[new_key().as_dict(private=False)])
CERTIFICATE = PeerCertificateAuthenticator(allowed=["DNS:billing"])


class GateResource(Resource):
    permission_classes = (IsAuthenticated,)

    @action(methods=["get"])
    async def known(self) -> str:
        return ""

    @action(methods=["get"], permission_classes=[AllowAny])
    async def public(self) -> str:
        return ""

    @action(methods=["get"], permission_classes=[HasScope("a") & HasScope("b")])
    async def both(self) -> str:
        return ""

    @action(methods=["get"], permission_classes=[HasScope("a") | HasScope("b", "c")])
    async def either(self) -> str:
        return ""

    @action(methods=["get"], permission_classes=[AllowAny | HasScope("a")])
    async def perhaps(self) -> str:
        return ""


def document_of(authenticator: Any, **options: Any) -> dict[str, Any]:
    app = Bali(title="gate", resources=[GateResource], authenticator=authenticator)
    app.openapi_version = options.get("version", app.openapi_version)
    return app.openapi()


def security(document: dict[str, Any], name: str) -> Any:
    return document["paths"][f"/gates/{name}"]["get"].get("security")


def test_scopes_are_told() -> None:
    document = document_of(JWT)
    assert security(document, "public") is None
    assert security(document, "known") == [{"bearer": []}]
    assert security(document, "both") == [{"bearer": ["a", "b"]}]
    assert security(document, "either") == [{"bearer": ["a"]}, {"bearer": ["b", "c"]}]
    assert security(document, "perhaps") == [{}, {"bearer": ["a"]}]


@pytest.mark.parametrize(
    ("authenticator", "schemes"),
    [
        (StaticTokens({}), {"bearer": {"type": "http", "scheme": "bearer"}}),
        (JWT, {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}),
        (CERTIFICATE, {"mutualTLS": {"type": "mutualTLS"}}),
    ],
)
def test_the_schemes_are_those_of_the_authenticator(
    authenticator: Any, schemes: dict[str, Any]
) -> None:
    assert document_of(authenticator)["components"]["securitySchemes"] == schemes


def test_one_of_several_schemes_is_enough() -> None:
    document = document_of(AnyOf(JWT, CERTIFICATE))
    assert set(document["components"]["securitySchemes"]) == {"bearer", "mutualTLS"}
    assert security(document, "known") == [{"bearer": []}, {"mutualTLS": []}]
    assert security(document, "both") == [{"bearer": ["a", "b"]}, {"mutualTLS": ["a", "b"]}]


def test_scopes_of_a_token_are_left_out_where_openapi_has_none() -> None:
    document = document_of(JWT, version="3.0.3")
    assert security(document, "both") == [{"bearer": []}]
