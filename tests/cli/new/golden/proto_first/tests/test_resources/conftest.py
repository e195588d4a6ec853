"""Clients that call the operations of resources by name."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from bali.testing import LiveServer, LocalServiceClient, RestServiceClient, ServiceClient


@pytest.fixture(params=[LocalServiceClient, RestServiceClient], ids=["local", "rest"])
def client(live: LiveServer, request: pytest.FixtureRequest) -> Iterator[ServiceClient]:
    """A test that asks for it runs in process and over REST."""
    with closing(request.param(live)) as client:
        yield client
