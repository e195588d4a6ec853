"""The service with long-running actions on a real port, once per database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bali.testing import LiveServer, live_server
from tests.operations.service import db, make_app
from tests.protocols import client

__all__ = ["client", "database_url", "live"]


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('operations') / 'db.sqlite3'}"
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="module")
def live(database_url: str) -> Iterator[LiveServer]:
    """The service."""
    db.connect(database_url)
    with live_server(make_app()) as server:
        yield server
