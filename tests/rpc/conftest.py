"""The service on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.rpc.served import aio_server, http_server, service


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the service is served over gRPC."""
    with aio_server(service.rpc.generic_handler()) as where:
        yield where


@pytest.fixture
def channel(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the service is served over Connect and gRPC-Web."""
    with http_server(service.rpc.connect_app(max_bytes=64 * 1024)) as where:
        yield where
