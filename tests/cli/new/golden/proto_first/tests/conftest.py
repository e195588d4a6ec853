"""What every test may ask for: the service on a free port, with an empty database."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["STAGE"] = "test"  # before main reads the settings

from bali import db
from bali.testing import LiveServer, live_server

from main import app


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    """The service, on a port of its own."""
    db.connect(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    with live_server(app) as live:
        yield live
