"""Generated clients, and a server that nobody of bali wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.both import Blocking
from tests.clients.generated import UserServer, generate, module, serving


@pytest.fixture(scope="session", autouse=True)
def generated(tmp_path_factory: pytest.TempPathFactory) -> None:
    contracts = {
        "user": "user/user.proto",
        "odd": "odd/odd-names.proto",
        "keywords": "odd/keywords.proto",
    }
    generate(tmp_path_factory.mktemp("generated"), "generated_clients", contracts)


@pytest.fixture
def schemas() -> Any:
    return module("user.user_schema")


@pytest.fixture
def pb2() -> Any:
    return module("user.user_pb2")


@pytest.fixture
def server() -> Iterator[UserServer]:
    with serving() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: UserServer) -> Iterator[Any]:
    """A client of the server; the async one is called as if it were sync (`tests.clients.both`)."""
    clients = module("user.user_client")
    if request.param == "sync":
        with clients.UserClient(server.address) as opened:
            yield opened
    else:
        with Blocking(lambda: clients.AsyncUserClient(server.address)) as blocking:
            yield blocking
