from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from sqlalchemy import String, text
from sqlalchemy.orm import Mapped, mapped_column

import bali
from bali import database as package
from bali.concurrency import run_blocking
from bali.database import Database
from bali.settings import Settings, initialize
from tests.database.catalog import Author, db


class TestTheAddress:
    def test_nothing_happens_before_it_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "nonsense")
        assert not Database().is_used
        database = Database()
        database.connect("sqlite://")
        assert database.is_used
        assert Database("sqlite://").is_used
        assert db.is_used  # it has models

    def test_it_comes_from_connect_then_the_app_then_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("DATABASE_URL", raising=False)
        database = Database()
        database.default_name = "orders"
        assert database.url.database == "orders.sqlite3"
        monkeypatch.setenv("DATABASE_URL", "mysql://h/environment")
        assert Database().url.database == "environment"
        database.configure(default_name="orders", url="postgres://h/app", secret=None)
        assert (database.url.database, database.backend) == ("app", "postgresql")
        database.connect("mariadb://h/own")
        database.configure(default_name="orders", url="postgres://h/other", secret=None)
        assert (database.url.database, database.backend) == ("own", "mariadb")

    def test_settings_given_to_initialize_count(self) -> None:
        initialize(Settings(database_url="mysql://h/initialized", secret_key="s"))
        try:
            database = Database()
            assert database.url.database == "initialized"
            secret = database.page_token_secret
        finally:
            initialize(None)
        assert secret != Database("mysql://h/initialized").page_token_secret

    def test_the_default_database_is_one(self) -> None:
        assert bali.db is package.db
        assert isinstance(package.db, Database)


class TestThePageTokenSecret:
    def test_it_is_the_same_in_every_process(self) -> None:
        code = (
            "from bali.database import Database\n"
            "print(Database('postgresql://u:p@h/d').page_token_secret.hex())"
        )
        found = {
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.strip()
            for _ in range(2)
        }
        assert found == {Database("postgresql://u:p@h/d").page_token_secret.hex()}

    def test_it_differs_with_the_address_and_the_key(self) -> None:
        one, two = Database("postgresql://u:p@h/d"), Database("postgresql://u:q@h/d")
        assert one.page_token_secret != two.page_token_secret
        for database in (one, two):
            database.configure(default_name="x", url=None, secret="shared")
        assert one.page_token_secret == two.page_token_secret


class TestConnections:
    async def test_ping_and_close(self, url: str) -> None:
        database = Database(url)
        await database.ping()
        await database.close()
        await database.close()
        await database.ping()
        await database.close()

    async def test_each_loop_has_an_engine(self, catalog: Database) -> None:
        await Author.aio.create(name="here")
        own = catalog.engine
        found: list[object] = []

        async def elsewhere() -> None:
            found.append(catalog.engine)
            await Author.aio.create(name="there")
            found.append(await Author.aio.count())

        thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        assert found[0] is not own
        assert found[1] == 2
        assert catalog.engine is own

    def test_a_loop_that_ends_leaves_nothing_open(self, url: str) -> None:
        db.connect(url)

        async def work() -> None:
            await db.create_all()
            await Author.aio.count()
            await db.drop_all()

        for _ in range(3):
            asyncio.run(work())
        gc.collect()  # an unclosed connection would warn, and warnings are errors
        assert [loop for loop in db._engines if not loop.is_closed()] in (
            [],
            [loop for loop in db._engines if loop.is_running()],
        )

    def test_a_database_in_memory_is_one_for_all_loops(self) -> None:
        database = Database("sqlite://")

        class Thing(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
            label: Mapped[str] = mapped_column(String(5))

        database.create_all()
        Thing.io.create(label="a")

        async def count() -> int:
            found: int = await Thing.aio.count()
            await database.close()
            return found

        assert asyncio.run(count()) == 1
        assert asyncio.run(count()) == 1
        assert Thing.io.count() == 1
        run_blocking(database.close())

    def test_it_is_gone_with_its_database(self) -> None:
        database = Database("sqlite://")
        reference = weakref.ref(database)
        assert database.url.query["vfs"] == "memdb"
        del database
        gc.collect()
        assert reference() is None

    async def test_connect_again_goes_elsewhere(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
        await database.ping()
        await database.close()
        database.connect(f"sqlite:///{tmp_path / 'b.sqlite3'}")
        await database.ping()
        await database.close()
        assert (tmp_path / "b.sqlite3").exists()

    def test_a_script_closes_what_it_opened(self, tmp_path: Path) -> None:
        code = (
            "from bali.database import Database\n"
            "from sqlalchemy.orm import Mapped\n"
            "db = Database('sqlite:///script.sqlite3')\n"
            "class Thing(db.BaseModel):\n"
            "    label: Mapped[str]\n"
            "db.create_all()\n"
            "Thing.io.create(label='a')\n"
            "print(Thing.count())\n"
        )
        result = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
        assert [path.name for path in tmp_path.iterdir()] == ["script.sqlite3"]  # no -wal


class TestTables:
    async def test_they_are_made_and_dropped(self, url: str) -> None:
        db.connect(url)
        await db.create_all()
        await db.create_all_async()
        assert await Author.aio.count() == 0
        await db.drop_all()
        await db.drop_all_async()
        with pytest.raises(Exception, match="catalog_authors"):
            await Author.aio.count()
        await db.close()

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql", "mariadb"], indirect=True)
    async def test_several_processes_make_them_at_once(self, url: str) -> None:
        databases = [Database(url) for _ in range(4)]
        for database in databases:

            class Thing(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
                __tablename__ = "made_at_once"

        try:
            await asyncio.gather(*(database.create_all() for database in databases))
            async with databases[0].unit():
                found = await databases[0].session.scalar(text("SELECT count(*) FROM made_at_once"))
            assert found == 0
        finally:
            await databases[0].drop_all()
            for database in databases:
                await database.close()
