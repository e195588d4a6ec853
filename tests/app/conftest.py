"""The modules that protoc makes of library.proto, and a database for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.app.library import compile_protos, db
from tests.server.conftest import certificates

__all__ = ["certificates"]


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return compile_protos(tmp_path_factory.mktemp("stubs"))


@pytest.fixture
def library(tmp_path: Path) -> None:
    db.connect(f"sqlite:///{tmp_path / 'library.sqlite3'}")
    db.create_all()
