"""Finding out who calls."""

from bali.auth.bearer import BearerAuthenticator, StaticTokens, Verify, bearer_token

__all__ = ["BearerAuthenticator", "StaticTokens", "Verify", "bearer_token"]
