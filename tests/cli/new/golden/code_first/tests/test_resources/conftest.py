"""Clients that call the operations of resources by name."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, ServiceClient


@pytest.fixture(params=[RestServiceClient, RpcServiceClient], ids=["rest", "grpc"])
def client(live: LiveServer, request: pytest.FixtureRequest) -> Iterator[ServiceClient]:
    """A test that asks for it runs over REST and over gRPC."""
    with closing(request.param(live)) as client:
        yield client
