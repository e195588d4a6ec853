"""What a service sees to before it starts, in each stage."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from bali import Bali, Database, Settings, Stage
from bali.app.databases import migration_folders, named_databases, service_folder
from bali.concurrency import run_blocking
from bali.database.migrations import Migrations
from bali.errors import ConfigurationError

SERVICE = """
from bali import AllowAny, Bali, Database, ModelResource
from sqlalchemy.orm import Mapped

things = Database("sqlite:///{folder}/things.sqlite3")

class Thing(things.BaseModel):
    name: Mapped[str]

class ThingResource(ModelResource):
    model = Thing
    permission_classes = [AllowAny]

app = Bali(title="thing", resources=[ThingResource])
"""


class Service:
    """A service in a folder of its own, with what a stage makes of its start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "main.py").write_text(SERVICE.format(folder=folder))
        spec = importlib.util.spec_from_file_location("thing_main", folder / "main.py")
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        sys.modules["thing_main"] = module
        spec.loader.exec_module(module)
        self.app: Bali = module.app
        self.database: Database = module.things
        self.migrations = Migrations(self.database, folder / "migrations")

    def start(self, stage: Stage) -> set[str]:
        """Start and stop the service; return the tables that there are meanwhile."""
        self.app.configuration = Settings(stage=stage)

        async def run() -> set[str]:
            life = self.app.router.lifespan_context(self.app)
            async with life, self.database.engine.connect() as connection:
                names = await connection.run_sync(lambda it: inspect(it).get_table_names())
            return set(names)

        return asyncio.run(run())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    run_blocking(made.database.close())
    del sys.modules["thing_main"]


def warned(caplog: pytest.LogCaptureFixture) -> str:
    found = [item for item in caplog.records if item.levelno >= logging.WARNING]
    return "\n".join(item.getMessage() for item in found if item.name == "bali.app")


@pytest.mark.parametrize("stage", [Stage.DEV, Stage.TEST])
def test_tables_are_made_as_long_as_nothing_else_makes_them(service: Service, stage: Stage) -> None:
    service.migrations.init()
    assert service.start(stage) == {"bali_requests", "thing"}


def test_tests_have_their_tables_whatever_the_migrations(service: Service) -> None:
    service.migrations.init()
    service.migrations.migrate("every table")
    assert service.start(Stage.TEST) == {"bali_requests", "thing"}


def test_in_dev_what_was_not_applied_is_named_and_nothing_made(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.migrations.init()
    made = service.migrations.migrate("every table")
    assert made is not None
    assert service.start(Stage.DEV) == set()
    assert made.stem in warned(caplog)
    assert "run `bali db upgrade`" in warned(caplog)
    caplog.clear()
    service.migrations.upgrade()
    assert service.start(Stage.DEV) == {"thing", "alembic_version", "bali_requests"}
    assert warned(caplog) == ""


@pytest.mark.parametrize("stage", [Stage.STAGING, Stage.PROD])
def test_elsewhere_a_database_that_is_behind_keeps_the_service_from_starting(
    service: Service, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    service.migrations.init()
    made = service.migrations.migrate("every table")
    assert made is not None
    with pytest.raises(ConfigurationError, match=f"lacks {made.stem}; run `bali db upgrade`"):
        service.start(stage)
    service.migrations.upgrade()
    assert service.start(stage) == {"thing", "alembic_version", "bali_requests"}
    assert warned(caplog) == ""


def test_a_newer_service_may_have_gone_ahead(service: Service) -> None:
    service.migrations.init()
    service.migrations.migrate("every table")
    service.migrations.upgrade()
    newer = service.migrations.migrate("by hand", empty=True)
    assert newer is not None
    service.migrations.upgrade()
    newer.unlink()
    assert "thing" in service.start(Stage.PROD)


def test_no_migrations_at_all_is_a_warning(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.start(Stage.PROD) == set()
    assert "no migrations of things beside main.py" in warned(caplog)


def test_a_database_has_the_name_of_its_variable(service: Service, tmp_path: Path) -> None:
    assert service_folder(service.app) == tmp_path
    assert named_databases(service.app) == {"things": service.database}
    assert migration_folders(service.app, tmp_path) == {"things": tmp_path / "migrations"}
    held = [Database("sqlite://")]
    assert list(named_databases(Bali(title="a", databases=held))) == ["database1"]
    assert service_folder(Bali(title="a", databases=held)) is None
