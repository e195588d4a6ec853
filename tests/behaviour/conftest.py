"""The behaviour service on a real port, once per database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bali.testing import LiveServer, live_server
from tests.behaviour.database import db
from tests.behaviour.service import make_app


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mariadb"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('behaviour') / 'db.sqlite3'}"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    db.connect(url)
    with live_server(make_app()) as server:
        yield server
