"""Bearer tokens (RFC 6750), from the HTTP header and from gRPC metadata alike."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from bali.errors import InvalidToken, Unauthenticated
from bali.resources import Context, Principal

__all__ = ["BearerAuthenticator", "StaticTokens", "Verify", "bearer_token"]

#: Returns the principal of a token, None for a token that is not accepted.
Verify: TypeAlias = Callable[[str], Awaitable[Principal | None] | Principal | None]


def bearer_token(context: Context) -> str | None:
    """Return the token of the call, None when it has no `Authorization`.

    Raises `Unauthenticated` when there is one of another scheme, or without a token.
    """
    header = context.metadata.get("authorization")
    if header is None:
        return None
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    scheme, _, token = text.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token:
        raise Unauthenticated(
            "The Authorization header must be `Bearer <token>`", reason="BAD_CREDENTIALS"
        )
    return token


class BearerAuthenticator:
    """Asks `verify`, sync or async, who a bearer token stands for.

    A call without a token is anonymous. A token that `verify` does not accept ends the call with
    `InvalidToken`, whatever the permissions of the action are.
    """

    def __init__(self, verify: Verify) -> None:
        self._verify = verify

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the principal of the call's token, None without a token."""
        token = bearer_token(context)
        if token is None:
            return None
        principal = self._verify(token)
        if inspect.isawaitable(principal):
            principal = await principal
        if principal is None:
            raise InvalidToken(reason="BAD_CREDENTIALS")
        return principal


class StaticTokens(BearerAuthenticator):
    """Accepts a fixed set of tokens: for development and tests.

    `StaticTokens({"secret": "ann"})` takes a principal or just its id for each token.
    """

    def __init__(self, tokens: Mapping[str, Principal | str]) -> None:
        known = {
            token: Principal(id=who) if isinstance(who, str) else who
            for token, who in tokens.items()
        }
        super().__init__(known.get)
