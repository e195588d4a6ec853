"""What hurt the users of the first bali, one test or more for each defect of the list they kept.

The numbers are those of that list; they are in the names of the classes.
"""

from __future__ import annotations

import datetime
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import BaseModel
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import (
    Bali,
    ConfigurationError,
    Database,
    IsAuthenticated,
    ModelResource,
    Principal,
    Resource,
    StaticTokens,
    action,
    model_to_schema,
)
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, live_server

db = Database()

TOKENS = {f"token-{n}": Principal(id=f"caller-{n}") for n in range(8)}


class Stamp(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row with every kind of column that the first bali lost something of."""

    __tablename__ = "regression_stamps"

    name: Mapped[str] = mapped_column(String(40), unique=True)
    count: Mapped[int] = mapped_column(default=0)
    note: Mapped[str | None]
    seen_at: Mapped[datetime.datetime | None]
    key: Mapped[uuid.UUID | None]
    clock: Mapped[datetime.time | None]
    raw: Mapped[bytes | None]


StampSchema = model_to_schema(Stamp)


class StampResource(ModelResource):
    """Stamps."""

    model = Stamp
    schema = StampSchema
    filters = ("name", "count__gte")

    @action(detail=True, methods=["post"])
    async def mark(self, pk: int, note: str) -> StampSchema:  # type: ignore[valid-type]
        """Write a note on one stamp."""
        return await self.store.update(pk, {"note": note})  # type: ignore[no-any-return]

    @action(methods=["post"], rpc_only=True)
    async def hidden(self, count: int) -> int:
        """Exist over gRPC alone."""
        return count + 1

    @action(http_only=True)
    async def page(self) -> str:
        """Exist over HTTP alone."""
        return "page"

    @action(methods=["post"])
    async def failing_transaction(self, name: str) -> None:
        """Fail inside `db.transaction()`."""
        async with db.transaction():
            await Stamp.aio.create(name=name)
            raise ValueError("inside the transaction")


class GuardedResource(Resource):
    """For known callers."""

    permission_classes = (IsAuthenticated,)

    @action()
    def whoami(self) -> str:
        """Tell who is calling, in code that blocks."""
        assert self.auth is not None
        time.sleep(0.002)
        return self.auth.id


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    db.connect(f"sqlite:///{tmp_path_factory.mktemp('regressions') / 'db.sqlite3'}")
    app = Bali(
        title="stamps",
        resources=[StampResource, GuardedResource],
        authenticator=StaticTokens(TOKENS),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )
    with live_server(app) as server:
        yield server


@pytest.fixture
def rest(live: LiveServer) -> Iterator[RestServiceClient]:
    client = RestServiceClient(live)
    yield client
    client.close()


@pytest.fixture
def rpc(live: LiveServer) -> Iterator[RpcServiceClient]:
    client = RpcServiceClient(live)
    yield client
    client.close()


def fresh() -> str:
    return uuid.uuid4().hex[:16]


def create(client: Any, **fields: Any) -> Any:
    return client.call("stamps.create", {"stamp": {"name": fresh(), **fields}})


@contextmanager
def started(directory: Path, *arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with arguments; kill it at the end unless it has ended."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str]:
    """Send a signal and return the exit code and all output."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


SERVICE = """
import asyncio
from bali import Bali, Resource, action

class NapResource(Resource):
    @action()
    async def nap(self, seconds: float) -> str:
        print("in flight", flush=True)
        await asyncio.sleep(seconds)
        return "rested"

app = Bali(title="nap", resources=[NapResource])

if __name__ == "__main__":
    app.start()
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(SERVICE)
    return tmp_path


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        assert process.poll() is None, process.communicate()[0]
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the service did not become ready")


class TestDefect1:
    """`bali run` never worked, and exited 0."""

    @pytest.mark.parametrize("mode", [["run"], ["run", "http"]])
    def test_bali_run_serves(self, service: Path, free_port: int, mode: list[str]) -> None:
        with started(service, "-m", "bali_cli", *mode, "--port", str(free_port)) as process:
            wait_for(free_port, process)
            url = f"http://127.0.0.1:{free_port}/naps/nap"
            assert httpx2.get(url, params={"seconds": 0}).json() == {"result": "rested"}
            code, output = stop(process)
        assert code == 0, output

    def test_without_a_service_it_fails_and_says_why(self, tmp_path: Path) -> None:
        with started(tmp_path, "-m", "bali_cli", "run") as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "main.py" in output
        assert "Traceback" not in output


class TestDefect2:
    """A list on a resource that declares `filters` was a 500."""

    def test_declared_filters_filter(self, rest: RestServiceClient, rpc: RpcServiceClient) -> None:
        stamp = create(rest, count=7)
        for client in (rest, rpc):
            page: Any = client.call("stamps.list", {"name": stamp.name, "count__gte": 7})
            assert [item.id for item in page.items] == [stamp.id]
            page = client.call("stamps.list", {"name": stamp.name, "count__gte": 8})
            assert page.items == []


class TestDefect3:
    """`permission_classes` were skipped over gRPC."""

    def test_a_stranger_is_refused_on_both(
        self, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        for client in (rest, rpc):
            with pytest.raises(BaliError) as caught:
                client.call("guardeds.whoami")
            assert caught.value.code is Code.UNAUTHENTICATED


class TestDefect4:
    """One resource object served all calls: callers got each other's identity."""

    def test_each_caller_gets_their_own_answer(
        self, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        def ask(number: int) -> tuple[int, str]:
            client = (rest, rpc)[number % 2]
            metadata = {"authorization": f"Bearer token-{number % 8}"}
            answer: Any = client.call("guardeds.whoami", metadata=metadata)
            return number % 8, answer.result

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, range(160)))
        assert all(who == f"caller-{number}" for number, who in answers)


class TestDefect5:
    """One exception in `db.transaction()`: the next creates answered OK and stored nothing."""

    def test_creates_after_a_failed_transaction_are_stored(
        self, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        for client in (rest, rpc):
            lost = fresh()
            with pytest.raises(BaliError) as caught:
                client.call("stamps.failing_transaction", {"name": lost})
            assert caught.value.code is Code.INTERNAL
            stored = [create(client).name for _ in range(20)]
            for name in stored:
                page: Any = client.call("stamps.list", {"name": name})
                assert len(page.items) == 1
            page = client.call("stamps.list", {"name": lost})
            assert page.items == []


class TestDefect6:
    """A missing id, a missing field, a duplicate were 500 and UNKNOWN, with SQL in the text."""

    def test_each_has_its_code_and_no_sql(
        self, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        taken = create(rest).name
        cases: list[tuple[str, dict[str, Any], Code, int]] = [
            ("stamps.get", {"id": 10**9}, Code.NOT_FOUND, 404),
            ("stamps.create", {"stamp": {}}, Code.INVALID_ARGUMENT, 422),
            ("stamps.create", {"stamp": {"name": taken}}, Code.ALREADY_EXISTS, 409),
        ]
        for client in (rest, rpc):
            for operation, arguments, code, status in cases:
                with pytest.raises(BaliError) as caught:
                    client.call(operation, arguments)
                assert (caught.value.code, caught.value.http_status) == (code, status)
                told = f"{caught.value.detail} {caught.value.field_errors}"
                assert not re.search(r"INSERT|SELECT|UNIQUE constraint|sqlite", told)


class TestDefect7:
    """Custom actions over gRPC failed; `rpc_only` registered nowhere; `detail` wanted `?pk=`."""

    def test_a_detail_action_has_the_id_in_its_path(
        self, live: LiveServer, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        stamp = create(rest)
        answer = httpx2.post(f"{live.url}/stamps/{stamp.id}/mark", json={"note": "by path"})
        assert answer.json()["note"] == "by path"
        marked: Any = rpc.call("stamps.mark", {"id": stamp.id, "note": "by message"})
        assert marked.note == "by message"

    def test_rpc_only_is_over_grpc_alone(self, live: LiveServer, rpc: RpcServiceClient) -> None:
        answer: Any = rpc.call("stamps.hidden", {"count": 1})
        assert answer.result == 2
        assert httpx2.post(f"{live.url}/stamps/hidden", json={"count": 1}).status_code in (404, 405)

    def test_http_only_is_over_http_alone(self, live: LiveServer) -> None:
        assert httpx2.get(f"{live.url}/stamps/page").json() == {"result": "page"}
        bound = live.app.services.bound
        assert bound is not None
        assert "PageStamps" not in {method.name for method in bound.methods}


class TestDefect8:
    """Two resources with an action of the same name overwrote each other."""

    def test_each_class_owns_its_actions(self) -> None:
        class FirstResource(Resource):
            @action()
            async def ping(self) -> str:
                return "first"

        class SecondResource(Resource):
            @action()
            async def ping(self) -> str:
                return "second"

        with live_server(Bali(title="pair", resources=[FirstResource, SecondResource])) as live:
            for kind in (RestServiceClient, RpcServiceClient):
                client = kind(live)
                answers: list[Any] = [client.call("firsts.ping"), client.call("seconds.ping")]
                client.close()
                assert [answer.result for answer in answers] == ["first", "second"]

    def test_a_real_clash_is_refused_with_both_places(self) -> None:
        class OneResource(Resource):
            name = "same"

            @action()
            async def ping(self) -> str:
                return ""

        class TwoResource(OneResource):
            pass

        with pytest.raises(ConfigurationError) as caught:
            Bali(title="clash", resources=[OneResource, TwoResource])
        assert "OneResource" in str(caught.value)
        assert "TwoResource" in str(caught.value)


class TestDefect9:
    """A typed proto with a datetime column failed in every call, create after it had committed."""

    def test_a_datetime_goes_over_grpc(self, rpc: RpcServiceClient) -> None:
        moment = datetime.datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=datetime.UTC)
        stamp = create(rpc, seen_at=moment)
        assert stamp.seen_at == moment
        got: Any = rpc.call("stamps.get", {"id": stamp.id})
        assert got == stamp


class TestDefect10:
    """Ints became doubles; UUID, time and bytes failed over gRPC; both lost the time zone."""

    def test_types_and_zones_survive(self, rest: RestServiceClient, rpc: RpcServiceClient) -> None:
        key = uuid.uuid4()
        moment = datetime.datetime.fromisoformat("2026-03-04T05:06:07.000008+05:30")
        stamp = create(
            rpc, count=2**31 - 1, key=key, clock=datetime.time(1, 2, 3, 4), raw=b"\x00\xff",
            seen_at=moment,
        )  # fmt: skip
        for client in (rest, rpc):
            got: Any = client.call("stamps.get", {"id": stamp.id})
            assert (got.count, type(got.count)) == (2**31 - 1, int)
            assert got.key == key
            assert got.clock == datetime.time(1, 2, 3, 4)
            assert got.raw == b"\x00\xff"
            assert got.seen_at == moment
            assert got.seen_at.tzinfo is not None
            assert got.created_time.tzinfo is not None


class TestDefect11:
    """`ordering` was a 500, page sizes differed; PATCH could not clear but could re-key."""

    def test_ordering_orders(self, live: LiveServer, rest: RestServiceClient) -> None:
        name = fresh()
        for count in (2, 3, 1):
            create(rest, name=f"{name}{count}", count=count, note=name)
        answer = httpx2.get(f"{live.url}/stamps", params={"ordering": "-count", "limit": 3})
        counts = [item["count"] for item in answer.json()["items"]]
        assert counts == sorted(counts, reverse=True)

    def test_the_default_page_is_the_same(
        self, rest: RestServiceClient, rpc: RpcServiceClient
    ) -> None:
        for _ in range(51):
            create(rest)
        sizes = [len(client.call("stamps.list").items) for client in (rest, rpc)]  # type: ignore[union-attr]
        assert sizes == [50, 50]

    def test_patch_clears_and_keeps_the_id(self, live: LiveServer, rest: RestServiceClient) -> None:
        stamp = create(rest, note="before")
        url = f"{live.url}/stamps/{stamp.id}"
        assert httpx2.patch(url, json={"note": None}).json()["note"] is None
        assert httpx2.patch(url, json={"id": 5, "count": 1}).json()["id"] == stamp.id


class TestDefect12:
    """POST of a schema made by `model_to_schema` demanded an id."""

    def test_the_schema_needs_no_id(self) -> None:
        schema: type[BaseModel] = model_to_schema(Stamp)
        assert schema.model_validate({"name": "no id"}).model_fields_set == {"name"}


class TestDefect13:
    """SIGTERM killed at once; a second server on the same port started silently; no health."""

    def test_sigterm_lets_calls_finish(self, service: Path, free_port: int) -> None:
        arguments = ("main.py", "--port", str(free_port))
        with started(service, *arguments, BALI_DRAIN_DELAY_SECONDS="0") as process:
            wait_for(free_port, process)
            assert process.stdout is not None
            with ThreadPoolExecutor(1) as threads:
                url = f"http://127.0.0.1:{free_port}/naps/nap"
                call = threads.submit(httpx2.get, url, params={"seconds": 1}, timeout=60)
                while "in flight" not in process.stdout.readline():
                    continue
                code, output = stop(process, signal.SIGTERM)
                assert call.result().json() == {"result": "rested"}
        assert code == 0, output

    def test_a_second_server_on_the_port_says_so(self, service: Path, free_port: int) -> None:
        with started(service, "main.py", "--port", str(free_port)) as first:
            wait_for(free_port, first)
            with started(service, "main.py", "--port", str(free_port)) as second:
                output, _ = second.communicate(timeout=60)
            assert second.returncode != 0
            assert str(free_port) in output
            assert "in use" in output
            assert "Traceback" not in output
            code, output = stop(first)
        assert code == 0, output

    def test_health_and_reflection_are_there(self, live: LiveServer) -> None:
        with grpc.insecure_channel(live.address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            status = health.Check(health_pb2.HealthCheckRequest())
            assert status.status == health_pb2.HealthCheckResponse.SERVING
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            answers = reflection.ServerReflectionInfo(iter([ask]))
            names = {item.name for item in next(answers).list_services_response.service}
        assert "stamps.StampsService" in names
