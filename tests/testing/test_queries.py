"""Counting the statements that a database is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Mapped

from bali import Bali, Database, ModelResource
from bali.concurrency import run_blocking
from bali.testing import LiveServer, RestServiceClient, at_most_queries, count_queries, live_server

db = Database()
other = Database("sqlite://")


class Stone(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "stones"

    name: Mapped[str]


class Pebble(other.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "pebbles"

    name: Mapped[str]


class StoneResource(ModelResource):
    model = Stone


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mariadb"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('queries') / 'db.sqlite3'}"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    db.connect(url)
    with live_server(Bali(title="stones", resources=[StoneResource])) as server:
        yield server


@pytest.fixture
def client(live: LiveServer) -> Iterator[RestServiceClient]:
    made = RestServiceClient(live)
    made.call("stones.create", {"stone": {"name": "warm"}})
    yield made
    made.close()


def test_calls_of_a_server_in_another_thread_count(client: RestServiceClient) -> None:
    with count_queries(db) as counted:
        client.call("stones.create", {"stone": {"name": "a"}})
        assert counted.count >= 1
        before = counted.count
        client.call("stones.list", {})
        client.call("stones.get", {"id": 1})
    assert counted.count == before + 2
    assert "SELECT" in counted.statements[-1]
    client.call("stones.list", {})
    assert counted.count == before + 2


def test_engines_that_are_made_meanwhile_count(client: RestServiceClient) -> None:
    async def find() -> None:
        await Stone.aio.filter(name="a")

    with count_queries(db) as counted:
        asyncio.run(find())
    assert [text.split()[0] for text in counted.statements if "stones" in text] == ["SELECT"]


def test_transactions_do_not_count(live: LiveServer) -> None:
    async def work() -> None:
        async with db.unit(), db.transaction():
            await Stone.aio.filter(name="a")

    run_blocking(work())
    with count_queries(db) as counted:
        run_blocking(work())
    assert counted.count == 1


def test_another_database_does_not_count(live: LiveServer) -> None:
    run_blocking(other.create_all_async())
    with count_queries(db) as counted, count_queries(other) as others:
        run_blocking(Pebble.aio.filter(name="a"))
    assert (counted.count, others.count) == (0, 1)


def test_more_than_the_limit_is_an_error_that_lists_them(client: RestServiceClient) -> None:
    with at_most_queries(db, 2) as counted:
        client.call("stones.list", {})
    assert counted.count == 1
    with pytest.raises(AssertionError, match=r"(?s)1 statements .* 0 at most .*1. SELECT "):
        ask(client, limit=0)


def test_an_exception_of_the_block_goes_before(client: RestServiceClient) -> None:
    with pytest.raises(LookupError):
        ask(client, limit=0, error=LookupError())


def ask(client: RestServiceClient, *, limit: int, error: Exception | None = None) -> None:
    with at_most_queries(db, limit):
        client.call("stones.list", {})
        if error is not None:
            raise error
