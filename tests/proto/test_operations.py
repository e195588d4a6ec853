"""Long-running methods: in the .proto that is written, and in one that was written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from pydantic import BaseModel

from bali import ConfigurationError, Resource, action
from bali.proto import bind_service, build_service, proto_text
from bali.resources import Collector
from bali.rpc import shape_of
from bali_cli.protoc import descriptor_set


class Report(BaseModel):
    """A report."""

    title: str


class ReportResource(Resource):
    """Reports."""

    @action(detail=True, methods=["post"], lro=True)
    async def export(self, pk: int) -> Report:
        """Write it."""
        return Report(title=str(pk))

    @action(methods=["post"], lro=True)
    async def nothing(self) -> None:
        """Do nothing."""


HANDWRITTEN = """syntax = "proto3";
package paper;
import "google/longrunning/operations.proto";
message ExportReportRequest { int64 id = 1; }
message NothingReportsRequest {}
message Report { string title = 1; }
message Progress { int64 progress_percent = 7; }
message Done {}
service ReportService {
  rpc ExportReport(ExportReportRequest) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {
      response_type: "Report" metadata_type: "paper.Progress"
    };
  }
  rpc NothingReports(NothingReportsRequest) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {
      response_type: "Done" metadata_type: "Progress"
    };
  }
}
"""


def shape() -> Any:
    return shape_of([Collector().collect(ReportResource)], package="paper", service="ReportService")


def service_of(text: str, folder: Path) -> Any:
    (folder / "paper.proto").write_text(text)
    pool = DescriptorPool()
    for file in descriptor_set(["paper.proto"], folder).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName("paper.ReportService")


def test_what_is_written_compiles_to_what_runs(tmp_path: Path) -> None:
    bound = build_service(shape())
    text = proto_text(bound)
    assert 'import "google/longrunning/operations.proto";' in text
    assert "rpc ExportReport(ExportReportRequest) returns (google.longrunning.Operation) {" in text
    compiled = service_of(text, tmp_path)
    for method in bound.descriptor.methods:
        other = compiled.methods_by_name[method.name]
        assert other.output_type.full_name == method.output_type.full_name
        options = [item.GetOptions().SerializeToString() for item in (method, other)]
        found = [_info(item) for item in options]
        assert found[0] == found[1]
    assert bind_service(shape(), compiled).full_name == "paper.ReportService"


def _info(options: bytes) -> tuple[str, str]:
    info: Any = MethodOptions.FromString(options)
    info = info.Extensions[operations_pb2.operation_info]
    return info.response_type, info.metadata_type


def test_a_contract_written_by_hand_is_bound(tmp_path: Path) -> None:
    bound = bind_service(shape(), service_of(HANDWRITTEN, tmp_path))
    export, nothing = (method.operation for method in bound.methods)
    assert export is not None
    assert nothing is not None
    name, data = export.packed(Report(title="x"))
    assert name == "paper.Report"
    assert export.result.to_values(export.result.message_type.FromString(data)) == {"title": "x"}
    assert nothing.packed(None) == ("paper.Done", b"")
    assert export.metadata.descriptor.full_name == "paper.Progress"


@pytest.mark.parametrize(
    ("former", "now", "told"),
    [
        (
            "ExportReport(ExportReportRequest) returns (google.longrunning.Operation)",
            "ExportReport(ExportReportRequest) returns (Report)",
            "returns paper.Report, and its action is lro=True",
        ),
        ('response_type: "Report" ', "", "has no response_type"),
        ('"paper.Progress"', '"Nowhere"', "metadata_type 'Nowhere' is no message"),
        ("string title = 1;", "string label = 1;", "'label' has no counterpart"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused(
    tmp_path: Path, former: str, now: str, told: str
) -> None:
    assert former in HANDWRITTEN
    service = service_of(HANDWRITTEN.replace(former, now, 1), tmp_path)
    with pytest.raises(ConfigurationError, match=told) as caught:
        bind_service(shape(), service)
    assert "paper.proto" in str(caught.value)
