"""How many statements each action sends to the database: a count that must not creep up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from bali.testing import LiveServer, RpcServiceClient, ServiceClient, count_queries
from tests.behaviour.contract_service import db, make_app
from tests.protocols import ANN, DATABASES, live_on, value


@pytest.fixture(scope="module", params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server


@pytest.fixture
def rpc(live: LiveServer) -> Iterator[ServiceClient]:
    made = RpcServiceClient(live)
    yield made
    made.close()


def kinds(rpc: ServiceClient, operation: str, **arguments: Any) -> list[str]:
    """Return the first word of each statement of a call."""
    with count_queries(db) as counted:
        rpc.call(f"notes.{operation}", arguments)
    return [statement.split()[0].upper() for statement in counted.statements]


def notes(rpc: ServiceClient, count: int) -> list[int]:
    name = uuid.uuid4().hex[:12]
    requests = [{"note": {"title": f"{name}-{number}"}} for number in range(count)]
    made = value(rpc.call("notes.batch_create", {"requests": requests}))
    return [item["id"] for item in made["items"]]


def test_reading_is_one_statement(rpc: ServiceClient) -> None:
    first, second = notes(rpc, 2)
    assert kinds(rpc, "get", id=first) == ["SELECT"]
    assert kinds(rpc, "get", id=first, read_mask=["title"]) == ["SELECT"]
    assert kinds(rpc, "list", page_size=1, filter="stars = 0") == ["SELECT"]
    assert kinds(rpc, "batch_get", ids=[first, second]) == ["SELECT"]


def test_writing_is_the_write_and_the_lock_before_it(rpc: ServiceClient) -> None:
    [key] = notes(rpc, 1)
    name = uuid.uuid4().hex
    assert kinds(rpc, "create", note={"title": name}) == ["INSERT"]
    assert kinds(rpc, "update", id=key, note={"stars": 1}) == ["SELECT", "UPDATE"]
    assert kinds(rpc, "delete", id=key) == ["SELECT", "UPDATE"]
    assert kinds(rpc, "undelete", id=key) == ["SELECT", "UPDATE"]


@pytest.mark.parametrize("count", [2, 50])
def test_a_batch_is_one_of_each_kind_however_many_items(rpc: ServiceClient, count: int) -> None:
    name = uuid.uuid4().hex[:12]
    requests = [{"note": {"title": f"{name}-{number}"}} for number in range(count)]
    # SQLite, which has no way to the database, returns rows in no order that could be told apart.
    inserts = count if db.backend == "sqlite" else 1
    assert kinds(rpc, "batch_create", requests=requests) == ["INSERT"] * inserts
    keys = notes(rpc, count)
    changes = [{"id": key, "note": {"stars": 1}} for key in keys]
    # The last one reads what the time stamps of all have become.
    assert kinds(rpc, "batch_update", requests=changes) == ["SELECT", "UPDATE", "SELECT"]
    assert kinds(rpc, "batch_delete", ids=keys) == ["SELECT", "UPDATE"]


def test_a_request_id_costs_a_claim_and_an_answer(rpc: ServiceClient) -> None:
    name = uuid.uuid4().hex
    arguments = {"note": {"title": name}, "request_id": name}
    kinds(rpc, "create", note={"title": f"{name}x"}, request_id=f"{name}x")  # it cleans up, once
    assert kinds(rpc, "create", **arguments) == ["INSERT", "INSERT", "UPDATE"]
    assert kinds(rpc, "create", **arguments) == ["INSERT", "SELECT"]


@pytest.mark.parametrize("count", [2, 20])
def test_asking_for_each_item_of_a_batch_is_one_statement(rpc: ServiceClient, count: int) -> None:
    [note] = notes(rpc, 1)
    comment = {"note_id": note, "words": "w", "author": "ann"}
    made = rpc.call("comments.batch_create", {"requests": [{"comment": comment}] * count})
    keys = [item["id"] for item in value(made)["items"]]
    with count_queries(db) as counted:
        rpc.call("comments.batch_get", {"ids": keys}, metadata=ANN)
    assert counted.count == 2, counted
    with count_queries(db) as counted:
        rpc.call("comments.batch_delete", {"ids": keys[::-1]}, metadata=ANN)
    assert counted.count == 3, counted
