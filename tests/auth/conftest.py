"""An issuer, and a service that trusts it, over every protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bali.testing import LiveServer, ServiceClient, live_server
from tests.auth.door import CLIENTS, make_app
from tests.auth.issuer import Issuer, serve_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve_issuer() as found:
        yield found


@pytest.fixture(scope="module")
def door_issuer() -> Iterator[Issuer]:
    """The issuer of the running service; a test leaves its keys as they were."""
    with serve_issuer() as found:
        yield found


@pytest.fixture(scope="module")
def live(door_issuer: Issuer) -> Iterator[LiveServer]:
    with live_server(make_app(door_issuer.jwks_url)) as server:
        yield server


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest, live: LiveServer) -> Iterator[ServiceClient]:
    made = CLIENTS[request.param](live)
    yield made
    made.close()
