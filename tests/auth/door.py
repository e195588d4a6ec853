"""A service whose callers bring tokens."""

from __future__ import annotations

from collections.abc import Callable

from connectrpc.protocol import ProtocolType

from bali import AllowAny, Bali, HasScope, IsAuthenticated, JwtAuthenticator, Resource, action
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    LocalServiceClient,
    RestServiceClient,
    RpcServiceClient,
    ServiceClient,
)
from tests.auth.issuer import AUDIENCE, ISSUER

CLIENTS: dict[str, Callable[[LiveServer], ServiceClient]] = {
    "local": LocalServiceClient,
    "rest": RestServiceClient,
    "grpc": RpcServiceClient,
    "connect": ConnectServiceClient,
    "grpc-web": lambda live: ConnectServiceClient(live, protocol=ProtocolType.GRPC_WEB),
}


class DoorResource(Resource):
    permission_classes = (IsAuthenticated,)

    @action(methods=["get"])
    async def who(self) -> str:
        principal = self.context.principal
        return principal.id if principal else ""

    @action(methods=["get"], permission_classes=[HasScope("doors.open")])
    async def opened(self) -> str:
        return "open"

    @action(methods=["get"], permission_classes=[AllowAny])
    async def state(self) -> str:
        return "closed"


def make_app(jwks_url: str) -> Bali:
    authenticator = JwtAuthenticator(
        issuer=ISSUER,
        audience=AUDIENCE,
        jwks_url=jwks_url,
        algorithms=("RS256", "ES256", "EdDSA"),
    )
    return Bali(title="door", resources=[DoorResource], authenticator=authenticator)
