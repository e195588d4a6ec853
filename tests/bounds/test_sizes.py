"""What is too large, too deep or too much is refused on every protocol, and says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx2
import pytest
from connectrpc.protocol import ProtocolType
from pydantic import BaseModel

from bali import Bali, Resource, action
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    RestServiceClient,
    RpcServiceClient,
    ServiceClient,
    live_server,
)

MIB = 1024 * 1024


class Tree(BaseModel):
    """Something that contains itself."""

    text: str = ""
    children: list[Tree] = []


class SizeResource(Resource):
    """Tells how large things are."""

    @action(methods=["post"])
    async def measure(self, text: str) -> int:
        """Return the length of a text."""
        return len(text)

    @action(methods=["post"])
    async def depth(self, schema_in: Tree) -> int:
        """Return how deep a tree is."""
        deepest, level = 0, [schema_in]
        while level:
            deepest, level = deepest + 1, [child for tree in level for child in tree.children]
        return deepest


def make_app(**settings: Any) -> Bali:
    return Bali(
        title="size",
        resources=[SizeResource],
        settings=Settings(stage=Stage.TEST, **settings),
    )


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    with live_server(make_app()) as server:
        yield server


CLIENTS: dict[str, Callable[[LiveServer], ServiceClient]] = {
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


def tree(depth: int) -> dict[str, Any]:
    built: dict[str, Any] = {"text": "leaf"}
    for _ in range(depth - 1):
        built = {"children": [built]}
    return built


def test_what_fits_is_taken(client: Any) -> None:
    assert client.call("sizes.measure", {"text": "x" * (3 * MIB)}).result == 3 * MIB


def test_more_than_four_mebibytes_are_refused(client: Any) -> None:
    with pytest.raises(BaliError) as caught:
        client.call("sizes.measure", {"text": "x" * (5 * MIB)})
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_the_limit_is_a_setting() -> None:
    # The negative control of the rule: with a larger limit the same body is taken.
    with live_server(make_app(max_body_bytes=8 * MIB)) as wider:
        for kind in (RestServiceClient, RpcServiceClient):
            made = kind(wider)
            answer: Any = made.call("sizes.measure", {"text": "x" * (5 * MIB)})
            made.close()
            assert answer.result == 5 * MIB


def test_deep_nesting_is_taken_within_the_bound_and_refused_beyond(client: Any) -> None:
    assert client.call("sizes.depth", tree(20)).result == 20
    with pytest.raises(BaliError) as caught:
        client.call("sizes.depth", tree(90))
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("path", ["/sizes/measure", "/size.SizeService/MeasureSizes"])
def test_a_compressed_body_is_read_and_a_bomb_is_refused(live: LiveServer, path: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    small = gzip.compress(json.dumps({"text": "x" * 1000}).encode())
    taken = httpx2.post(f"{live.url}{path}", content=small, headers=headers)
    assert int(taken.json()["result"]) == 1000
    bomb = gzip.compress(json.dumps({"text": "x" * (64 * MIB)}).encode())
    assert len(bomb) < MIB
    refused = httpx2.post(f"{live.url}{path}", content=bomb, headers=headers)
    assert refused.json()["code"].upper() == "RESOURCE_EXHAUSTED"


def test_malformed_messages_tell_nothing_of_the_inside(live: LiveServer) -> None:
    with grpc.insecure_channel(live.address) as channel:
        call: Any = channel.unary_unary("/size.SizeService/MeasureSizes")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff")
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "Error" not in error.details()
    for content_type in ("application/json", "application/proto"):
        url = f"{live.url}/size.SizeService/MeasureSizes"
        answer = httpx2.post(url, content=b"\xff{", headers={"content-type": content_type})
        assert answer.json()["code"] == "invalid_argument"
        assert "Traceback" not in answer.text


class TestOverload:
    def test_calls_beyond_the_room_are_refused_with_a_hint(self) -> None:
        app = make_app(max_in_flight=1, max_waiting=0)
        with live_server(app) as live:
            entered = app.pipeline.admission
            entered.in_flight = 1  # somebody is in, and stays
            for kind in (RestServiceClient, RpcServiceClient, ConnectServiceClient):
                made = kind(live)
                with pytest.raises(BaliError) as caught:
                    made.call("sizes.measure", {"text": "x"})
                made.close()
                assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "OVERLOADED")
            refused = httpx2.post(f"{live.url}/sizes/measure", json={"text": "x"})
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            entered.in_flight = 0
            made = RestServiceClient(live)
            answer: Any = made.call("sizes.measure", {"text": "x"})
            made.close()
            assert answer.result == 1
