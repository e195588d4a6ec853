"""One client for each way to call a service, and what their tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from connectrpc.protocol import ProtocolType

from bali import Bali, Database
from bali.errors import BaliError
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    LocalServiceClient,
    RestServiceClient,
    RpcServiceClient,
    ServiceClient,
    live_server,
)

__all__ = [
    "ANN",
    "BOB",
    "CLIENTS",
    "DATABASES",
    "NOWHERE",
    "client",
    "fields_of",
    "live_on",
    "refused",
    "value",
]

ANN = {"authorization": "Bearer ann-token"}
BOB = {"authorization": "Bearer bob-token"}
#: A key that no item has.
NOWHERE = 2_000_000_000

CLIENTS: dict[str, Callable[[LiveServer], ServiceClient]] = {
    "local": LocalServiceClient,
    "rest": RestServiceClient,
    "grpc": RpcServiceClient,
    "connect": ConnectServiceClient,
    "grpc-web": lambda live: ConnectServiceClient(live, protocol=ProtocolType.GRPC_WEB),
}

DATABASES = ("sqlite", "postgres", "mariadb")


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest, live: LiveServer) -> Iterator[ServiceClient]:
    """A client of the service that `live` is, once for each protocol."""
    made = CLIENTS[request.param](live)
    yield made
    made.close()


@contextmanager
def live_on(
    request: pytest.FixtureRequest,
    folders: pytest.TempPathFactory,
    db: Database,
    make_app: Callable[[], Bali],
) -> Iterator[LiveServer]:
    """Serve an app while the block runs, on the database that `request.param` names."""
    if request.param == "sqlite":
        url = f"sqlite:///{folders.mktemp('live') / 'db.sqlite3'}"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    db.connect(url)
    with live_server(make_app()) as server:
        yield server


def value(result: Any) -> dict[str, Any]:
    """Return an answer as the JSON that it is."""
    assert result is not None
    return dict(result.model_dump(mode="json"))


def fields_of(error: BaliError) -> dict[str, str]:
    """Return the reason of each field that an error names."""
    return {item.field: item.reason for item in error.field_errors}


def refused(
    client: ServiceClient, operation: str, metadata: Any = None, /, **arguments: Any
) -> BaliError:
    """Return the error that a call ends with."""
    with pytest.raises(BaliError) as caught:
        client.call(operation, arguments, metadata=metadata)
    return caught.value
