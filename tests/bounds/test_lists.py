"""A list is bounded: how many items a page has, how long and how many the filters are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from connectrpc.protocol import ProtocolType
from sqlalchemy import String, insert
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Database, ModelResource, model_to_schema
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    RestServiceClient,
    RpcServiceClient,
    live_server,
)

db = Database()
ROWS = 1100


class Grain(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """One of many."""

    __tablename__ = "bounds_grains"

    label: Mapped[str] = mapped_column(String(2000))


class GrainResource(ModelResource):
    """Grains."""

    model = Grain
    schema = model_to_schema(Grain)
    filters = ("label", "label__contains", "label__in", "id__in")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    db.connect(f"sqlite:///{tmp_path_factory.mktemp('lists') / 'db.sqlite3'}")
    app = Bali(
        title="grain",
        resources=[GrainResource],
        settings=Settings(stage=Stage.TEST, max_in_flight=4),
    )

    async def fill() -> None:
        async with db.unit():
            await db.session.execute(
                insert(Grain), [{"label": f"grain {number}"} for number in range(ROWS)]
            )

    with live_server(app) as server:
        asyncio.run(fill())
        yield server


CLIENTS: dict[str, Callable[[LiveServer], Any]] = {
    "rest": RestServiceClient,
    "grpc": RpcServiceClient,
    "connect": ConnectServiceClient,
    "grpc-web": lambda live: ConnectServiceClient(live, protocol=ProtocolType.GRPC_WEB),
}


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest, live: LiveServer) -> Iterator[Any]:
    made = CLIENTS[request.param](live)
    yield made
    made.close()


def refused_fields(client: Any, arguments: dict[str, Any]) -> list[str]:
    with pytest.raises(BaliError) as caught:
        client.call("grains.list", arguments)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return [item.field for item in caught.value.field_errors]


def test_a_page_is_never_larger_than_the_most(client: Any) -> None:
    assert len(client.call("grains.list", {}).items) == 50
    assert len(client.call("grains.list", {"page_size": 1000}).items) == 1000
    for size in (1001, 10**6, 2**31 - 1):
        assert refused_fields(client, {"page_size": size}) == ["page_size"]
    assert refused_fields(client, {"page_size": -1}) == ["page_size"]


def test_former_names_do_not_get_around_it(live: LiveServer) -> None:
    rest = RestServiceClient(live)
    assert refused_fields(rest, {"limit": 1001}) in (["limit"], ["page_size"])
    rest.close()


@pytest.mark.parametrize("name", ["label", "label__contains"])
def test_a_filter_has_at_most_a_thousand_characters(client: Any, name: str) -> None:
    assert client.call("grains.list", {name: "x" * 1000}).items == []
    assert refused_fields(client, {name: "x" * 1001}) == [name]


def test_a_filter_has_at_most_a_thousand_items(client: Any) -> None:
    few = {"id__in": list(range(1, 11))}
    assert len(client.call("grains.list", few).items) == 10
    many = {"id__in": list(range(1, 1001)), "page_size": 1000}
    assert len(client.call("grains.list", many).items) == 1000
    assert refused_fields(client, {"id__in": list(range(1, 1002))}) == ["id__in"]
    assert refused_fields(client, {"label__in": ["x" * 1001]}) == ["label__in[0]"]


def test_the_language_of_filters_is_bounded(client: Any) -> None:
    for condition in ("x" * 1000, "(" * 32 + "a" + ")" * 32, " ".join("a" * 100)):
        assert client.call("grains.list", {"filter": condition, "page_size": 1}) is not None
    for condition in ("x" * 1001, "(" * 33 + "a" + ")" * 33, " ".join("a" * 101), "(" * 1000):
        assert refused_fields(client, {"filter": condition}) == ["filter"]


def test_an_ordering_is_bounded(client: Any) -> None:
    assert refused_fields(client, {"order_by": "," * 1001}) == ["order_by"]
    assert refused_fields(client, {"order_by": "id,label" + ",id" * 20}) == ["order_by"]


def test_a_token_is_bounded(client: Any) -> None:
    assert refused_fields(client, {"page_token": "x" * 4097}) == ["page_token"]


def test_an_address_is_bounded(live: LiveServer) -> None:
    answer = httpx2.get(f"{live.url}/grains?label={'x' * 20_000}")
    assert (answer.status_code, answer.json()["reason"]) == (431, "HEADERS_TOO_LARGE")
