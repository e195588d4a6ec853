"""Fakes of the clients in user/user.proto, for tests.

Written by `bali add`; do not edit. The next `bali update` writes it anew.
"""

from __future__ import annotations

from bali.clients import AsyncFakeClient, FakeClient

from .user_client import (
    AsyncUserClient,
    UserClient,
)

__all__ = [
    "AsyncFakeUserClient",
    "FakeUserClient",
]


class FakeUserClient(FakeClient, UserClient):
    """Answers as `UserClient` does, with what `respond` was told."""


class AsyncFakeUserClient(AsyncFakeClient, AsyncUserClient):
    """Answers as `AsyncUserClient` does, with what `respond` was told."""
