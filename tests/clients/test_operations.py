"""Generated clients of a service with long-running actions, from its contract to its results."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bali.clients import AsyncOperation, Operation
from bali.errors import Cancelled, ConfigurationError, DeadlineExceeded, FailedPrecondition
from bali.proto import proto_text
from bali.testing import LiveServer, live_server
from bali_cli.add.describe import describe
from bali_cli.add.files import CONFIG, UTILS
from bali_cli.add.render import render
from bali_cli.protoc import compile_protos, descriptor_set
from tests.clients.both import Blocking
from tests.operations.service import db, make_app

PACKAGE = "generated_operations"
ANN = {"authorization": "Bearer ann-token"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("operations")
    db.connect(f"sqlite:///{folder / 'db.sqlite3'}")
    app = make_app()
    generate(app, folder)
    with live_server(app) as server:
        yield server
    sys.path.remove(str(folder))


def generate(app: Any, folder: Path) -> None:
    protos, out = folder / "protos", folder / PACKAGE / "intermediates"
    protos.mkdir()
    (protos / "reports.proto").write_text(proto_text(app.services.bound))
    contract = describe("reports", "reports.proto", descriptor_set(["reports.proto"], protos))
    for module, text in render(contract).items():
        (out / module).parent.mkdir(parents=True, exist_ok=True)
        (out / module).write_text(text)
    assert not (out / "google").exists()
    compile_protos(["reports.proto"], protos, out, grpc=False, pyi=False)
    (out.parent / "_config.py").write_text(CONFIG)
    (out.parent / "_utils.py").write_text(UTILS)
    sys.path.insert(0, str(folder))


def generated(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.intermediates.{name}")


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, live: LiveServer) -> Iterator[Any]:
    clients = generated("reports_client")
    if request.param == "sync":
        with clients.ReportsClient(live.address) as opened:
            yield opened
    else:
        with Blocking(lambda: clients.AsyncReportsClient(live.address)) as blocking:
            yield blocking


def settled(client: Any, outcome: Any) -> Any:
    """Return what a method of an operation gives, awaited where it is async."""
    return client._run(outcome) if isinstance(client, Blocking) else outcome


def test_the_result_is_typed(client: Any) -> None:
    operation = client.export_report(id=3, title="sales", metadata=ANN)
    assert isinstance(operation, AsyncOperation if isinstance(client, Blocking) else Operation)
    assert operation.name.startswith("operations/")
    assert "going on" in repr(operation)
    report = settled(client, operation.result(timeout=30))
    schemas = generated("reports_schema")
    assert isinstance(report, schemas.Report)
    assert (report.id, report.title, report.caller) == (3, "sales", "ann")
    assert operation.done
    told: Any = operation.metadata
    assert told.state is schemas.OperationState.SUCCEEDED
    assert told.action == "reports.export"
    assert operation.error is None


def test_an_error_is_raised_as_from_a_direct_call(client: Any) -> None:
    operation = client.export_report(id=3, title="sales", fail="known", metadata=ANN)
    with pytest.raises(FailedPrecondition, match="there is no paper") as caught:
        settled(client, operation.result())
    assert caught.value.reason == "NO_PAPER"


def test_nothing_is_none(client: Any) -> None:
    assert settled(client, client.nothing_reports(metadata=ANN).result()) is None


def test_an_operation_can_be_followed_and_cancelled(client: Any, tmp_path: Path) -> None:
    operation = client.hold_reports(folder=str(tmp_path), metadata=ANN)
    with pytest.raises(DeadlineExceeded, match="not done in the time"):
        settled(client, operation.result(timeout=0.2))
    while settled(client, operation.refresh()).metadata.progress_text != "holding":
        settled(client, operation.wait(timeout=0.05))
    settled(client, operation.cancel())
    with pytest.raises(Cancelled):
        settled(client, operation.result())
    settled(client, operation.delete())


class TestFakes:
    def test_a_fake_answers_with_an_operation_that_is_done(self, live: LiveServer) -> None:
        fake = generated("reports_fake").FakeReportsClient()
        schemas = generated("reports_schema")
        fake.respond("count_reports", schemas.CountReportsResponse(result=4), {"result": 5})
        assert fake.count_reports(numbers=[4]).result().result == 4
        operation = fake.count_reports(numbers=[5])
        assert operation.done
        assert operation.wait().result().result == 5
        assert fake.calls_of("count_reports")[0].request.numbers == [4]

    def test_a_fake_may_fail_and_may_have_nothing_to_say(self, live: LiveServer) -> None:
        fake = generated("reports_fake").FakeReportsClient()
        fake.respond("count_reports", FailedPrecondition("no"))
        fake.respond("nothing_reports", None)
        with pytest.raises(FailedPrecondition):
            fake.count_reports(numbers=[4])
        assert fake.nothing_reports().result() is None
        fake.respond("hold_reports", {"proces": 1})
        with pytest.raises(Exception, match="proces"):
            fake.hold_reports(folder="x")
        with pytest.raises(ConfigurationError):
            fake.respond("count_reports")
