"""Long-running actions over every protocol and on every database: what callers get is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.rpc import error_details_pb2

from bali.errors import BaliError, Code
from bali.operations import desk
from bali.testing import LiveServer, ServiceClient
from tests.protocols import ANN, BOB


def start(client: ServiceClient, action: str, **arguments: Any) -> Any:
    return client.call(f"reports.{action}", arguments, metadata=ANN)


def key(operation: Any) -> dict[str, str]:
    return {"id": operation.name.removeprefix("operations/")}


def finished(client: ServiceClient, operation: Any) -> Any:
    """Return the operation when it is done."""
    for _ in range(20):
        found: Any = client.call("operations.wait", key(operation), metadata=ANN)
        if found.done:
            return found
    raise AssertionError(f"{operation} does not end")


def shown(operation: Any) -> dict[str, Any]:
    return dict(operation.model_dump(mode="json"))


def refused(client: ServiceClient, operation: str, arguments: Any, metadata: Any) -> BaliError:
    with pytest.raises(BaliError) as caught:
        client.call(operation, arguments, metadata=metadata)
    return caught.value


class TestResults:
    def test_the_call_is_answered_before_the_work_is_done(
        self, client: ServiceClient, tmp_path: Path
    ) -> None:
        operation = start(client, "hold", folder=str(tmp_path))
        assert not operation.done
        assert operation.response is None
        assert operation.error is None
        assert operation.metadata.action == "reports.hold"
        (tmp_path / "go").touch()
        assert finished(client, operation).response["attempt"] == 1

    def test_the_response_is_what_the_action_returned(self, client: ServiceClient) -> None:
        operation = start(
            client,
            "export",
            id=7,
            title="sales",
            since="2026-01-02T03:04:05.678901+02:00",
            raw=b"\xff\x00",
            lines=[{"text": "a", "amount": "1.50"}, {"text": "b", "amount": "2.25"}],
        )
        done = finished(client, operation)
        assert done.error is None
        assert done.response == {
            "id": 7,
            "title": "sales",
            "caller": "ann",
            "since": "2026-01-02T01:04:05.678901Z",
            "raw": "/wA=",
            "lines": [{"text": "a", "amount": "1.50"}, {"text": "b", "amount": "2.25"}],
            "total": "3.75",
        }
        told = done.metadata
        assert (told.state.value, told.progress_percent, told.progress_text) in {
            ("succeeded", 100, ""),
            ("succeeded", 100, "half of it"),
        }
        assert told.attempt == 1
        assert told.end_time >= told.create_time
        marks: Any = client.call("reports.marks", {"operation": done.name}, metadata=ANN)
        assert marks.result == 1

    def test_code_that_blocks_can_be_long_running(self, client: ServiceClient) -> None:
        done = finished(client, start(client, "count", numbers=[1, 2, 3]))
        assert done.response == {"result": 6}

    def test_an_action_may_return_nothing(self, client: ServiceClient) -> None:
        done = finished(client, start(client, "nothing"))
        assert (done.response, done.error) == ({}, None)

    def test_what_is_raised_is_told_as_to_a_direct_call(self, client: ServiceClient) -> None:
        done = finished(client, start(client, "export", id=1, title="x", fail="known"))
        assert (done.response, done.metadata.state.value) == (None, "failed")
        error = done.error
        assert (error.code, error.status, error.reason, error.detail) == (
            "FAILED_PRECONDITION",
            400,
            "NO_PAPER",
            "there is no paper",
        )
        marks: Any = client.call("reports.marks", {"operation": done.name}, metadata=ANN)
        assert marks.result == 0

    def test_fields_that_are_wrong_are_named(self, client: ServiceClient) -> None:
        error = finished(client, start(client, "export", id=1, title="x", fail="fields")).error
        assert (error.code, error.status, error.reason) == (
            "INVALID_ARGUMENT",
            422,
            "VALIDATION_FAILED",
        )
        assert [(item.field, item.reason) for item in error.errors] == [("title", "RUDE")]

    def test_a_bug_is_told_without_its_text(self, client: ServiceClient) -> None:
        error = finished(client, start(client, "export", id=1, title="x", fail="bug")).error
        assert (error.code, error.status) == ("INTERNAL", 500)
        assert "hunter2" not in error.model_dump_json()
        assert error.request_id

    def test_a_direct_call_has_no_operation(self, client: ServiceClient) -> None:
        result: Any = client.call("reports.direct", {}, metadata=ANN)
        assert result.result == "'' 1"

    def test_progress_is_seen_meanwhile(self, client: ServiceClient, tmp_path: Path) -> None:
        operation = start(client, "hold", folder=str(tmp_path))
        seen: Any = operation
        while seen.metadata.progress_percent != 10:
            seen = client.call("operations.wait", {**key(operation), "timeout": 0.1}, metadata=ANN)
        assert seen.metadata.progress_text == "holding"
        assert seen.metadata.state.value == "running"
        (tmp_path / "go").touch()
        finished(client, operation)


class TestRefusals:
    def test_a_wrong_request_begins_nothing(self, client: ServiceClient) -> None:
        error = refused(client, "reports.export", {"id": 1, "title": ""}, ANN)
        assert error.code is Code.INVALID_ARGUMENT
        assert [item.field for item in error.field_errors] == ["title"]

    def test_permissions_are_those_of_the_action(self, client: ServiceClient) -> None:
        assert refused(client, "reports.nothing", {}, None).code is Code.UNAUTHENTICATED

    @pytest.mark.parametrize("verb", ["get", "wait", "cancel", "delete"])
    def test_somebody_else_finds_nothing(self, client: ServiceClient, verb: str) -> None:
        operation = start(client, "nothing")
        for metadata in (BOB, None):
            stranger = refused(client, f"operations.{verb}", key(operation), metadata)
            nobody = refused(client, f"operations.{verb}", {"id": "0" * 32}, metadata)
            assert stranger.code is Code.NOT_FOUND
            assert (stranger.reason, stranger.detail) == (nobody.reason, nobody.detail)
        assert finished(client, operation).response == {}

    @pytest.mark.parametrize("name", ["x", "../1", "0" * 33, "é" * 32, "' OR 1=1 --"])
    def test_what_is_no_name_is_not_found(self, client: ServiceClient, name: str) -> None:
        assert refused(client, "operations.get", {"id": name}, ANN).code is Code.NOT_FOUND


class TestLists:
    def test_a_list_has_the_callers_own_the_newest_first(self, client: ServiceClient) -> None:
        names = [start(client, "nothing").name for _ in range(3)]
        page: Any = client.call("operations.list", {"page_size": 2}, metadata=ANN)
        assert [item.name for item in page.items] == [names[2], names[1]]
        rest: Any = client.call(
            "operations.list",
            {"page_size": 2, "page_token": page.next_page_token},
            metadata=ANN,
        )
        assert rest.items[0].name == names[0]
        bobs: Any = client.call("operations.list", {}, metadata=BOB)
        assert bobs.items == []

    def test_a_token_of_somebody_else_is_refused(self, client: ServiceClient) -> None:
        start(client, "nothing")
        start(client, "nothing")
        page: Any = client.call("operations.list", {"page_size": 1}, metadata=ANN)
        for token, metadata in ((page.next_page_token, BOB), ("x", ANN), ("é", ANN)):
            error = refused(client, "operations.list", {"page_token": token}, metadata)
            assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")

    def test_who_is_not_known_has_no_list(self, client: ServiceClient) -> None:
        assert refused(client, "operations.list", {}, None).code is Code.UNAUTHENTICATED


class TestCancel:
    @pytest.mark.parametrize("action", ["hold", "hold_in_thread"])
    def test_a_running_operation_ends_as_cancelled(
        self, client: ServiceClient, tmp_path: Path, action: str
    ) -> None:
        operation = start(client, action, folder=str(tmp_path))
        while not (tmp_path / "begun").exists():
            client.call("operations.wait", {**key(operation), "timeout": 0.05}, metadata=ANN)
        assert client.call("operations.cancel", key(operation), metadata=ANN) is None
        done = finished(client, operation)
        assert done.metadata.state.value == "cancelled"
        assert (done.error.code, done.error.status) == ("CANCELLED", 499)
        if action == "hold_in_thread":
            while not (tmp_path / "unwound").exists():
                client.call("operations.get", key(operation), metadata=ANN)

    def test_what_is_done_stays_as_it_is(self, client: ServiceClient) -> None:
        done = finished(client, start(client, "count", numbers=[4]))
        client.call("operations.cancel", key(done), metadata=ANN)
        found: Any = client.call("operations.get", key(done), metadata=ANN)
        assert found.response == {"result": 4}

    def test_a_deleted_operation_is_gone(self, client: ServiceClient) -> None:
        done = finished(client, start(client, "nothing"))
        client.call("operations.delete", key(done), metadata=ANN)
        assert refused(client, "operations.get", key(done), ANN).code is Code.NOT_FOUND

    def test_a_deleted_operation_goes_on_unseen(
        self, client: ServiceClient, tmp_path: Path
    ) -> None:
        operation = start(client, "hold_in_thread", folder=str(tmp_path))
        client.call("operations.delete", key(operation), metadata=ANN)
        assert refused(client, "operations.wait", key(operation), ANN).code is Code.NOT_FOUND
        (tmp_path / "go").touch()
        while not (tmp_path / "unwound").exists():
            client.call("operations.list", {}, metadata=ANN)


def test_a_wait_ends_with_its_time(
    client: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = start(client, "hold", folder=str(tmp_path))
    for timeout in (0, 0.05):
        seen: Any = client.call(
            "operations.wait", {**key(operation), "timeout": timeout}, metadata=ANN
        )
        assert not seen.done
    # Half a minute to answer: a wait that leaves no time for it leaves none here, either.
    monkeypatch.setattr(desk, "_MARGIN_SECONDS", desk._MARGIN_SECONDS * 120)
    late: Any = client.call("operations.wait", key(operation), metadata=ANN, timeout_seconds=31)
    assert not late.done
    (tmp_path / "go").touch()
    finished(client, operation)


class TestStandardForms:
    def test_rest_answers_accepted_and_tells_where(self, live: LiveServer) -> None:
        with httpx2.Client(base_url=live.url, headers=ANN, timeout=60) as http:
            answer = http.post("/reports/count", json={"numbers": [1, 2]})
            assert answer.status_code == 202
            name = answer.json()["name"]
            assert answer.headers["location"] == f"/{name}"
            done = http.post(f"/{name}:wait").json()
            assert http.get(answer.headers["location"]).json() == done
            assert list(done) == ["name", "metadata", "done", "error", "response"]
            assert done["response"] == {"result": 3}
            assert http.delete(f"/{name}").status_code == 204
            assert http.get(f"/{name}").status_code == 404

    def test_grpc_has_the_standard_service(self, live: LiveServer) -> None:
        methods = live.app.services.methods
        export = next(m for action, m in methods.items() if action.name == "export")
        assert export.operation is not None
        with grpc.insecure_channel(live.address) as channel:
            call = channel.unary_unary(
                export.path,
                request_serializer=export.input_type.SerializeToString,
                response_deserializer=operations_pb2.Operation.FromString,
            )
            metadata = tuple(ANN.items())
            request = export.encode_request({"id": 1, "title": "x"})
            operation: Any = call(request, metadata=metadata)
            stub: Any = operations_pb2_grpc.OperationsStub(channel)
            wait = operations_pb2.WaitOperationRequest(name=operation.name)
            done = stub.WaitOperation(wait, metadata=metadata)
            assert done.done
            report: Any = export.operation.result.message_type()
            assert done.response.Is(report.DESCRIPTOR)
            report.ParseFromString(done.response.value)
            assert report.title == "x"
            about: Any = export.operation.metadata.message_type()
            assert done.metadata.type_url.endswith("/reports.OperationMetadata")
            about.ParseFromString(done.metadata.value)
            assert about.action == "reports.export"

            failing: Any = call(
                export.encode_request({"id": 1, "title": "x", "fail": "known"}), metadata=metadata
            )
            wait = operations_pb2.WaitOperationRequest(name=failing.name)
            status = stub.WaitOperation(wait, metadata=metadata).error
            assert (status.code, status.message) == (9, "there is no paper")
            info = error_details_pb2.ErrorInfo()
            assert status.details[0].Unpack(info)
            assert (info.reason, info.domain) == ("NO_PAPER", "reports.ReportsService")

    def test_connect_speaks_json_to_the_standard_service(self, live: LiveServer) -> None:
        with httpx2.Client(base_url=live.url, headers=ANN, timeout=60) as http:
            service = "/google.longrunning.Operations"
            for fields, type_name in (
                ({}, "google.protobuf.Empty"),
                ({"numbers": [1]}, "reports.CountReportsResponse"),
            ):
                name = http.post(
                    "/reports/count" if fields else "/reports/nothing", json=fields
                ).json()["name"]
                done = http.post(f"{service}/WaitOperation", json={"name": name}).json()
                assert done["done"] is True
                assert done["response"]["@type"] == f"type.googleapis.com/{type_name}"
                assert done["metadata"]["state"] == "OPERATION_STATE_SUCCEEDED"
            started = http.post(
                "/reports.ReportsService/ExportReport",
                json={"id": 1, "title": "x", "fail": "known"},
            ).json()
            failed = http.post(f"{service}/WaitOperation", json={"name": started["name"]}).json()
            assert failed["error"]["code"] == 9
            assert failed["error"]["details"][0]["reason"] == "NO_PAPER"
