"""The behaviour service on a real port, once per database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bali.testing import LiveServer
from tests.behaviour.database import db
from tests.behaviour.service import make_app
from tests.protocols import DATABASES, client, live_on

__all__ = ["client", "live"]


@pytest.fixture(scope="module", params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """The service."""
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server
