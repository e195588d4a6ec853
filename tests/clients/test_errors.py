"""Errors of a service are the same classes here, with all that they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx2
import pytest

from bali import Bali, Resource, action
from bali.errors import (
    AlreadyExists,
    BaliError,
    Code,
    DeadlineExceeded,
    FieldError,
    Internal,
    NotFound,
    PermissionDenied,
    Unavailable,
    ValidationFailed,
)
from bali.propagation import current
from bali.proto import status_proto
from bali.proto.status import DETAILS_KEY
from bali.resources import Context
from bali.testing import live_server
from tests.clients.both import Blocking
from tests.clients.generated import UserServer, module


def failing(error: BaliError) -> Any:
    """Fail as a server that follows AIP-193 does."""

    def fail(_: Any, context: Any) -> Any:
        details = status_proto(error, "id-1", domain="user").SerializeToString()
        context.set_trailing_metadata(((DETAILS_KEY, details),))
        context.abort(list(grpc.StatusCode)[int(error.code)], error.detail)

    return fail


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no user 9", resource_type="user", resource_name="9", reason="NO_USER"),
        AlreadyExists("taken", metadata={"name": "ann"}),
        PermissionDenied("no"),
        ValidationFailed(
            field_errors=[FieldError(field="age", reason="TOO_SMALL", description="at least 0")]
        ),
    ],
)
def test_an_error_keeps_its_class_and_all_it_says(
    client: Any, server: UserServer, error: BaliError
) -> None:
    server.behaviours["GetUser"] = failing(error)
    with pytest.raises(type(error)) as caught:
        client.get_user(id=9)
    found = caught.value
    assert type(found) is type(error)
    for name in (
        "code", "detail", "reason", "field_errors", "metadata", "resource_type", "resource_name",
    ):  # fmt: skip
        assert getattr(found, name) == getattr(error, name)
    assert isinstance(found.__cause__, grpc.RpcError)


def test_errors_in_the_middle_of_a_stream_come_as_they_are(
    client: Any, server: UserServer, pb2: Any
) -> None:
    def some(request: Any, context: Any) -> Any:
        yield pb2.User(id=1)
        failing(NotFound("the rest is gone"))(request, context)

    server.behaviours["WatchUsers"] = some
    items = client.watch_users(count=2)
    assert next(items).id == 1
    with pytest.raises(NotFound, match="the rest is gone"):
        next(items)


def test_the_text_of_a_foreign_crash_is_not_handed_on(client: Any, server: UserServer) -> None:
    def crash(*_: Any) -> Any:
        raise RuntimeError("password hunter2")

    server.behaviours["GetUser"] = crash
    with pytest.raises(BaliError) as caught:
        client.get_user(id=1)
    assert "hunter2" not in caught.value.detail
    assert caught.value.code is Code.UNKNOWN
    assert "user.UserService" in caught.value.detail


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_service_that_is_not_there_is_unavailable(kind: str, free_port: int) -> None:
    clients = module("user.user_client")
    address = f"127.0.0.1:{free_port}"
    if kind == "sync":
        client = clients.UserClient(address, attempts=2)
    else:
        client = Blocking(lambda: clients.AsyncUserClient(address, attempts=2))
    with client, pytest.raises(Unavailable) as caught:
        client.get_user(id=1)
    assert "127.0.0.1" not in caught.value.detail  # an inner address is nobody's business


def test_failing_silently_gives_an_empty_answer(
    client: Any, server: UserServer, schemas: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviours["GetUser"] = failing(NotFound("no user 9"))
    assert client.get_user(id=9, fail_silently=True) == schemas.User()
    assert "no user 9" in caplog.text
    server.behaviours["WatchUsers"] = failing(NotFound("no users"))
    assert list(client.watch_users(count=1, fail_silently=True)) == []
    with pytest.raises(NotFound):
        client.get_user(id=9)


# -- a service of bali, and one that calls it ----------------------------------------------------


@pytest.fixture
def asking(server: UserServer) -> Iterator[Any]:
    """A service whose action calls another service."""
    clients = module("user.user_client")

    class QuestionResource(Resource):
        @action()
        async def ask(self, number: int) -> str:
            user = await clients.AsyncUserClient(server.address).get_user(id=number)
            return str(user.username)

        @action()
        def ask_blocking(self, number: int) -> str:
            return str(clients.UserClient(server.address).get_user(id=number).username)

    app = Bali(title="question", resources=[QuestionResource])

    @app.get("/questions/plain")
    async def plain(number: int) -> dict[str, str]:
        user = await clients.AsyncUserClient(server.address).get_user(id=number)
        return {"result": user.username}

    with live_server(app) as live:
        yield live


@pytest.mark.parametrize("path", ["ask", "ask-blocking", "plain"])
def test_an_error_travels_through_a_service_in_between(
    asking: Any, server: UserServer, path: str
) -> None:
    server.behaviours["GetUser"] = failing(NotFound("no user 9", reason="NO_USER"))
    answer = httpx2.get(f"{asking.url}/questions/{path}", params={"number": 9})
    assert answer.status_code == 404
    assert answer.json()["reason"] == "NO_USER"


@pytest.mark.parametrize("path", ["ask", "ask-blocking", "plain"])
def test_trace_request_id_and_deadline_are_passed_on(
    asking: Any, server: UserServer, pb2: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER_GRPC_TIMEOUT", "300")
    server.behaviours["GetUser"] = lambda *_: pb2.User(username="ann")
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        "x-request-id": "order-7",
        "x-request-timeout": "60",
    }
    url = f"{asking.url}/questions/{path}"
    answer = httpx2.get(url, params={"number": 9}, headers=headers, timeout=60)
    assert answer.json() == {"result": "ann"}
    (seen,) = server.seen
    version, found, span, flags = seen.metadata["traceparent"].split("-")
    assert (version, found, flags) == ("00", trace, "01")
    assert span != "b7ad6b7169203331"
    assert seen.metadata["x-request-id"] == "order-7"
    assert seen.time_remaining is not None
    assert 0 < seen.time_remaining < 61  # clients round the time that they send up


def test_a_call_without_a_trace_begins_one(asking: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["GetUser"] = lambda *_: pb2.User(username="ann")
    headers = {"traceparent": "nonsense", "x-request-timeout": "nonsense"}
    for _ in range(2):
        httpx2.get(f"{asking.url}/questions/plain", params={"number": 9}, headers=headers)
    traces = {seen.metadata["traceparent"].split("-")[1] for seen in server.seen}
    assert len(traces) == 2


def test_an_unexpected_error_of_a_service_is_internal_here_too(server: UserServer) -> None:
    server.behaviours["GetUser"] = failing(Internal())
    with module("user.user_client").UserClient(server.address) as client, pytest.raises(Internal):
        client.get_user(id=1)


def test_a_caller_without_time_is_told_before_anything_is_sent(
    client: Any, server: UserServer
) -> None:
    token = current.set(Context.with_timeout(0.0))
    try:
        with pytest.raises(DeadlineExceeded, match="was called"):
            client.get_user(id=1)
    finally:
        current.reset(token)
    assert server.seen == []
