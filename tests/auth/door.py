"""A service whose callers bring tokens."""

from __future__ import annotations

from bali import AllowAny, Bali, HasScope, IsAuthenticated, JwtAuthenticator, Resource, action
from tests.auth.issuer import AUDIENCE, ISSUER


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
