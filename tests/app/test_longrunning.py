from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from pydantic import BaseModel
from sqlalchemy import inspect

from bali import AllowAny, Bali, Database, HasScope, Resource, action
from bali.errors import ConfigurationError
from bali.settings import Settings, Stage
from bali.testing import RestServiceClient, live_server
from bali_cli.protoc import compile_protos


class Thing(BaseModel):
    id: int


class ThingResource(Resource):
    permission_classes = (AllowAny,)

    @action(detail=True, methods=["post"], lro=True, permission_classes=[HasScope("make")])
    async def make(self, pk: int) -> Thing:
        """Make it."""
        return Thing(id=pk)

    @action(methods=["post"], lro=True, http_only=True)
    async def make_many(self, count: int) -> list[Thing]:
        """Make some."""
        return [Thing(id=number) for number in range(count)]


class PlainResource(Resource):
    permission_classes = (AllowAny,)

    @action()
    async def hello(self) -> str:
        return "hello"


def app_of(*resources: type[Resource], **options: Any) -> Bali:
    settings = Settings(stage=Stage.TEST)
    return Bali(title="things", resources=resources, settings=settings, **options)


def test_a_service_without_them_has_no_operations(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    app = app_of(PlainResource, databases=[database])
    with live_server(app):
        assert [spec.plural for spec in app.resources] == ["plains"]
        assert app.services.names == ("things.ThingsService",)
    assert "bali_operations" not in database.metadata.tables


async def test_the_table_is_made_with_the_others(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    app = app_of(ThingResource, databases=[database])
    assert app.databases == (database,)
    await database.create_all()
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await database.close()
    assert names == ["bali_operations"]


def test_an_app_without_a_database_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "main.py"
    program.write_text(
        "from bali import Bali, Resource, action\n"
        "class ThingResource(Resource):\n"
        "    @action(methods=['post'], lro=True)\n"
        "    async def make(self) -> int:\n"
        "        return 1\n"
        "app = Bali(title='things', resources=[ThingResource])\n"
        "app.start(['--port', '0'])\n"
    )
    ran = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ran.returncode == 2
    assert "make (" in ran.stderr
    assert "lro=True needs a database" in ran.stderr
    assert not list(tmp_path.glob("*.sqlite3"))


def test_a_router_alone_is_refused(sqlite_url: str) -> None:
    router = {"router": ThingResource.as_router(), "prefix": "/things"}
    app = app_of(routers=[router], databases=[Database(sqlite_url)])
    with pytest.raises(ConfigurationError, match="needs its resource to be registered"):
        _ = app.pipeline


def test_a_resource_of_the_same_path_is_refused(sqlite_url: str) -> None:
    class OperationResource(Resource):
        @action()
        async def hello(self) -> str:
            return "hello"

    with pytest.raises(ConfigurationError, match="two declarations have the resource name"):
        app_of(ThingResource, OperationResource, databases=[Database(sqlite_url)])


def test_production_takes_operations_as_protected(sqlite_url: str) -> None:
    settings = Settings(stage=Stage.PROD)
    database = Database(sqlite_url)
    app = Bali(title="things", resources=[ThingResource], settings=settings, databases=[database])
    app.check_permissions()


def test_openapi_tells_the_truth(sqlite_url: str) -> None:
    document = app_of(ThingResource, databases=[Database(sqlite_url)]).openapi()
    make = document["paths"]["/things/{id}/make"]["post"]
    assert set(make["responses"]) >= {"202", "401", "403", "404"}
    accepted = make["responses"]["202"]
    assert "Location" in accepted["headers"]
    name = accepted["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schemas = document["components"]["schemas"]
    assert name == "MakeThingOperation"
    assert schemas[name]["properties"]["response"]["anyOf"][0]["$ref"].endswith("/Thing")
    assert {"/operations", "/operations/{id}", "/operations/{id}:wait"} <= set(document["paths"])
    assert "/operations/{id}:cancel" in document["paths"]
    wait = document["paths"]["/operations/{id}:wait"]["post"]
    assert {} in wait["security"]
    assert any("bearer" in way for way in wait["security"])


def test_an_action_of_http_alone_has_operations_too(sqlite_url: str) -> None:
    with live_server(app_of(ThingResource, databases=[Database(sqlite_url)])) as live:
        client = RestServiceClient(live)
        started: Any = client.call("things.make_many", {"count": 2})
        found: Any = client.call(
            "operations.wait", {"id": started.name.removeprefix("operations/")}
        )
        client.close()
        message: Any = live.app.services.methods
    assert found.response == {"items": [{"id": 0}, {"id": 1}]}
    assert message


PROTO = """syntax = "proto3";
package things;
import "google/longrunning/operations.proto";
message MakeRequest { int64 id = 1; }
message MadeThing { int64 id = 1; }
message Progress { int64 progress_percent = 1; }
service ThingsService {
  rpc MakeThing(MakeRequest) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {
      response_type: "MadeThing" metadata_type: "Progress"
    };
  }
}
"""


class OpenThingResource(Resource):
    name = "thing"

    @action(detail=True, methods=["post"], lro=True)
    def make(self, pk: int) -> Thing:
        """Make it."""
        return Thing(id=pk)


def test_a_servicer_may_begin_operations(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "madethings.proto").write_text(PROTO)
    compile_protos(["madethings.proto"], tmp_path / "protos", tmp_path / "madethings", pyi=False)
    sys.path.insert(0, str(tmp_path))
    pb2: Any = importlib.import_module("madethings.madethings_pb2")
    pb2_grpc: Any = importlib.import_module("madethings.madethings_pb2_grpc")
    sys.path.remove(str(tmp_path))

    class ThingsService(pb2_grpc.ThingsServiceServicer):  # type: ignore[misc]  # made at run time
        async def MakeThing(self, request: Any, context: Any) -> Any:
            resource: Any = OpenThingResource
            return await resource(request, context, operations_pb2.Operation).make()

    app = app_of(OpenThingResource, databases=[Database(sqlite_url)])
    app.add_servicer(ThingsService())
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        started = pb2_grpc.ThingsServiceStub(channel).MakeThing(pb2.MakeRequest(id=7))
        operations: Any = operations_pb2_grpc.OperationsStub(channel)
        done = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=started.name))
        thing, progress = pb2.MadeThing(), pb2.Progress()
        assert done.response.Unpack(thing)
        assert done.metadata.Unpack(progress)
        assert (thing.id, progress.progress_percent) == (7, 100)


def test_two_services_share_a_database(sqlite_url: str) -> None:
    one = Bali(
        title="one",
        resources=[ThingResource],
        settings=Settings(stage=Stage.TEST, operation_workers=0),
        databases=[Database(sqlite_url)],
    )
    two = app_of(ThingResource, databases=[Database(sqlite_url)])
    with live_server(one) as first, live_server(two) as second:
        clients = [RestServiceClient(first), RestServiceClient(second)]
        started: Any = clients[0].call("things.make_many", {"count": 1})
        key = {"id": started.name.removeprefix("operations/")}
        own: Any = clients[1].call("things.make_many", {"count": 1})
        done: Any = clients[1].call("operations.wait", {"id": own.name.removeprefix("operations/")})
        assert done.done
        waiting: Any = clients[0].call("operations.get", key)
        assert waiting.metadata.state.value == "pending"
        assert clients[1].http.get(f"/operations/{key['id']}").status_code == 404
        for client in clients:
            client.close()
