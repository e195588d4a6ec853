"""The commands of bali in a service with long-running actions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.build import services

MAIN = '''
from pydantic import BaseModel

from bali import AllowAny, Bali, Resource, action


class Report(BaseModel):
    """A report."""

    title: str


class ReportResource(Resource):
    """Reports."""

    permission_classes = [AllowAny]

    @action(detail=True, methods=["post"], lro=True)
    async def export(self, pk: int) -> Report:
        """Write a report."""
        return Report(title=str(pk))


app = Bali(title="report", resources=[ReportResource])
'''

CALL = """
import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from bali.testing import live_server
from main import app
from services.rpc import report_pb2, report_pb2_grpc

with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
    stub = report_pb2_grpc.ReportServiceStub(channel)
    name = stub.ExportReport(report_pb2.ExportReportRequest(id=7)).name
    operations = operations_pb2_grpc.OperationsStub(channel)
    done = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))
    report, about = report_pb2.Report(), report_pb2.OperationMetadata()
    assert done.response.Unpack(report) and done.metadata.Unpack(about)
    print(report.title, about.action)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    (folder / "main.py").write_text(MAIN)
    ran = bali(folder, "build")
    assert "protos/report.proto" in ran
    return folder


def bali(folder: Path, *arguments: str) -> str:
    url = f"sqlite:///{folder / 'db.sqlite3'}"
    ran = services.bali(folder, *arguments, DATABASE_URL=url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_what_is_built_is_right_and_can_be_called(service: Path) -> None:
    assert "drift: ok" in bali(service, "check")
    url = f"sqlite:///{service / 'call.sqlite3'}"
    ran = services.python(service, "-c", CALL, DATABASE_URL=url, STAGE="test")
    assert ran.stdout == "7 reports.export\n", ran.stderr


def test_routes_tell_which_are_long_running(service: Path) -> None:
    found = {item["operation"]: item for item in json.loads(bali(service, "routes", "--json"))}
    assert found["reports.export"]["long_running"] is True
    assert found["operations.wait"]["long_running"] is False
    assert found["operations.wait"]["rest"] == [{"method": "POST", "path": "/operations/{id}:wait"}]
    assert found["operations.wait"]["grpc"]["method"] == (
        "google.longrunning.Operations/WaitOperation"
    )
    assert not found["operations.wait"]["public"]
    assert "report.ReportService/ExportReport (long-running)" in bali(service, "routes")


def test_migrations_have_the_table(service: Path) -> None:
    bali(service, "db", "init")
    bali(service, "db", "migrate", "-m", "first")
    (revision,) = (service / "migrations" / "versions").glob("*.py")
    assert "create_table('bali_operations'" in revision.read_text().replace('"', "'")
    bali(service, "db", "upgrade")
    bali(service, "db", "check")
