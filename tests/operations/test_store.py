"""The statements on every database: who gets an operation, and who may still write to it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from bali import Aborted, Database
from bali.operations.store import OperationStore, Outcome
from bali.operations.table import epoch_seconds
from bali.resources import OperationState

DONE = Outcome(state=OperationState.SUCCEEDED, result=b"{}", wire_type="x.Y", wire=b"\x00")
LONG, PAST = 60.0, -1.0


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[OperationStore]:
    database = Database(url)
    made = OperationStore(database, f"test.{uuid.uuid4().hex}")
    await database.create_all()
    yield made
    await database.close()


async def add(store: OperationStore, *, owner: str = "ann") -> str:
    operation_id = uuid.uuid4().hex
    await store.add(operation_id, "things.do", owner, b"{}")
    return operation_id


async def test_the_clock_is_that_of_the_database(store: OperationStore) -> None:
    async with store.database.engine.connect() as connection:
        found = await connection.scalar(select(epoch_seconds()))
    assert found is not None
    assert abs(float(found) - time.time()) < 60


async def test_workers_at_once_never_get_the_same(store: OperationStore) -> None:
    ids = {await add(store) for _ in range(30)}
    taken: list[str] = []

    async def work(worker: str) -> None:
        missed = 0
        while missed < 3:
            try:
                claims = await store.claim(worker, ["things.do"], limit=2, lease_seconds=LONG)
            except Aborted:  # SQLite is busy: the worker looks again
                continue
            missed = 0 if claims else missed + 1
            taken.extend(claim.id for claim in claims)

    await asyncio.gather(*(work(f"worker{number}") for number in range(6)))
    assert len(taken) == len(ids)
    assert set(taken) == ids


async def test_a_lease_holds_until_it_has_passed(store: OperationStore) -> None:
    operation_id = await add(store)
    (first,) = await store.claim("one", ["things.do"], limit=5, lease_seconds=LONG)
    assert await store.claim("two", ["things.do"], limit=5, lease_seconds=LONG) == []
    assert await store.renew("one", [operation_id], PAST) == {operation_id: False}
    (second,) = await store.claim("two", ["things.do"], limit=5, lease_seconds=LONG)
    assert (first.attempt, first.losses) == (1, 0)
    assert (second.attempt, second.losses) == (2, 1)
    assert await store.renew("one", [operation_id], LONG) == {}


async def test_who_has_lost_an_operation_writes_nothing(store: OperationStore) -> None:
    operation_id = await add(store)
    (first,) = await store.claim("one", ["things.do"], limit=1, lease_seconds=PAST)
    (second,) = await store.claim("two", ["things.do"], limit=1, lease_seconds=LONG)
    await store.report("one", first, 50, "half")
    await store.release("one", first)
    assert await store.finish("one", first, DONE, LONG) is False
    seen = await store.get(operation_id, "ann")
    assert seen is not None
    assert (seen.state, seen.progress_percent) == (OperationState.RUNNING, 0)
    assert await store.finish("two", second, DONE, LONG) is True
    assert await store.finish("two", second, DONE, LONG) is False
    seen = await store.get(operation_id, "ann")
    assert seen is not None
    assert seen.outcome == DONE


async def test_a_worker_gives_back_what_it_has(store: OperationStore) -> None:
    kept, given = await add(store), await add(store)
    await store.claim("one", ["things.do"], limit=2, lease_seconds=LONG)
    await store.release_all("one", but=[kept])
    claims = await store.claim("two", ["things.do"], limit=2, lease_seconds=LONG)
    assert [(claim.id, claim.attempt, claim.losses) for claim in claims] == [(given, 2, 0)]


async def test_workers_pass_over_actions_they_do_not_know(store: OperationStore) -> None:
    await add(store)
    assert await store.claim("one", ["things.undo"], limit=1, lease_seconds=LONG) == []
    other = OperationStore(store.database, "another.Service")
    assert await other.claim("one", ["things.do"], limit=1, lease_seconds=LONG) == []


async def test_results_go_when_their_time_is_over(store: OperationStore) -> None:
    old, new = await add(store), await add(store)
    one, two = await store.claim("one", ["things.do"], limit=2, lease_seconds=LONG)
    await store.finish("one", one, DONE, PAST)
    await store.finish("one", two, DONE, LONG)
    assert await store.purge() == 1
    assert await store.get(old, "ann") is None
    assert await store.get(new, "ann") is not None


async def test_a_deleted_operation_leaves_when_it_is_done(store: OperationStore) -> None:
    operation_id = await add(store)
    (claim,) = await store.claim("one", ["things.do"], limit=1, lease_seconds=LONG)
    await store.delete(operation_id, "ann")
    assert await store.get(operation_id, "ann") is None
    assert await store.purge() == 0
    assert await store.finish("one", claim, DONE, LONG) is True
    assert await store.purge() == 1


async def test_others_change_nothing(store: OperationStore) -> None:
    operation_id = await add(store)
    await store.cancel(operation_id, "bob", DONE, LONG)
    await store.delete(operation_id, "bob")
    seen = await store.get(operation_id, "ann")
    assert seen is not None
    assert seen.state is OperationState.PENDING
    assert await store.get(operation_id, "bob") is None
    assert await store.page("bob", None, 10) == []
