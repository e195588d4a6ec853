"""Resources over Connect and gRPC-Web, on a real uvicorn."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import struct
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from connectrpc.client import ConnectClient, ConnectClientSync
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.compression.gzip import GzipCompression
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType

from bali.concurrency import run_blocking
from bali.errors import AlreadyExists, BaliError, Code, Unavailable, ValidationFailed
from bali.proto import error_from_status
from bali.proto.status import OMITTED_KEY
from tests.rpc.served import SECRET, http_server, message, service, signals

PROTOCOLS = {
    "connect-proto": (ProtocolType.CONNECT, google_protobuf_binary_codec),
    "connect-json": (ProtocolType.CONNECT, google_protobuf_json_codec),
    "grpc-web": (ProtocolType.GRPC_WEB, google_protobuf_binary_codec),
}


class Client:
    """Calls the methods by name."""

    def __init__(self, url: str, protocol: str, **options: Any) -> None:
        kind, codec = PROTOCOLS[protocol]
        self.name = protocol
        self.protocol = "grpc-web" if kind is ProtocolType.GRPC_WEB else "connect"
        self._client = ConnectClientSync(url, codec=codec(), protocol=kind, **options)

    def call(self, name: str, *, headers: Any = None, ms: int | None = None, **values: Any) -> Any:
        return self._client.execute_unary(
            request=message(name, **values), method=info(name), headers=headers, timeout_ms=ms
        )

    def stream(
        self, name: str, *, headers: Any = None, ms: int | None = None, **values: Any
    ) -> Iterator[Any]:
        return self._client.execute_server_stream(
            request=message(name, **values), method=info(name), headers=headers, timeout_ms=ms
        )

    def error(self, name: str, **values: Any) -> BaliError:
        """Return the error that a call ends with."""
        method = self.stream if service.methods[name].is_server_streaming else self.call
        with pytest.raises(ConnectError) as caught:
            _ = list(method(name, **values))
        return told_by(caught.value)


def told_by(error: ConnectError) -> BaliError:
    name = "CANCELLED" if error.code.name == "CANCELED" else error.code.name
    pairs = [(item.type_name, item.message_bytes) for item in error.details]
    return error_from_status(Code[name], error.message, pairs)


def info(name: str) -> MethodInfo[Any, Any]:
    method = service.methods[name]
    return MethodInfo(
        name=method.name,
        service_name=service.bound.full_name,
        input=method.input_type,
        output=method.output_type,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if method.is_server_streaming else StreamType.UNARY,
    )


@pytest.fixture(params=list(PROTOCOLS))
def client(request: pytest.FixtureRequest, url: str) -> Client:
    return Client(url, request.param)


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def post(url: str, name: str, body: bytes, **headers: str) -> httpx2.Response:
    sent = {
        "content-type": "application/json",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    path = service.methods[name].path
    return httpx2.post(f"{url}{path}", content=body, headers=sent, timeout=30)


def test_a_unary_call_is_answered(client: Client) -> None:
    assert client.call("echo", text="héllo").text == "héllo"


def test_a_stream_is_answered(client: Client) -> None:
    assert [tick.number for tick in client.stream("ticks", count=4)] == [0, 1, 2, 3]


def test_an_async_client_is_answered(url: str) -> None:
    async def ask() -> list[str]:
        async with ConnectClient(url, codec=google_protobuf_binary_codec()) as client:
            calls = [
                client.execute_unary(request=message("echo", text=str(n)), method=info("echo"))
                for n in range(20)
            ]
            return [answer.text for answer in await asyncio.gather(*calls)]

    assert run_blocking(ask()) == [str(n) for n in range(20)]


def test_plain_http_is_enough(url: str) -> None:
    answer = post(url, "echo", b'{"text": "hello"}')
    assert (answer.status_code, answer.json()) == (200, {"text": "hello"})
    assert answer.headers["content-type"] == "application/json"


def test_gzip_is_taken_and_given(url: str) -> None:
    body = gzip.compress(json.dumps({"text": "x" * 5000}).encode())
    answer = post(url, "echo", body, content_encoding="gzip", accept_encoding="gzip")
    assert answer.json() == {"text": "x" * 5000}
    assert answer.headers["content-encoding"] == "gzip"
    for protocol in PROTOCOLS:
        client = Client(url, protocol, send_compression=GzipCompression())
        assert client.call("echo", text="x" * 5000).text == "x" * 5000


# -- errors --------------------------------------------------------------------------------------


def test_an_error_has_every_detail(client: Client) -> None:
    error = client.error("fail", kind="rich")
    assert type(error) is Unavailable
    assert (error.detail, error.reason) == ("the printer is on fire", "PRINTER_ON_FIRE")
    assert (error.retry_after_seconds, error.metadata) == (1.5, {"printer": "lp0"})
    assert (error.resource_type, error.resource_name) == ("printer", "printers/lp0")


def test_an_error_has_the_http_status_of_its_code(url: str) -> None:
    answer = post(url, "fail", b'{"kind": "rich"}', x_request_id="id-7")
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert (answer.headers["x-request-id"], answer.headers["x-tried"]) == ("id-7", "yes")


def test_field_errors_are_told(client: Client) -> None:
    error = client.error("fail", kind="fields")
    assert type(error) is ValidationFailed
    assert [item.field for item in error.field_errors] == ["a.b[1]"]


def test_connect_has_room_for_every_field_error(client: Client) -> None:
    error = client.error("fail", kind="many")
    assert type(error) is ValidationFailed
    omitted = int(error.metadata.get(OMITTED_KEY, 0))
    assert len(error.field_errors) + omitted == 100
    assert (omitted > 0) is (client.protocol == "grpc-web")


@pytest.mark.parametrize("kind", ["long", "foreign", "surrogate", "number"])
def test_no_error_is_too_large_or_odd_to_be_told(client: Client, kind: str) -> None:
    assert client.error("fail", kind=kind).code is Code.NOT_FOUND


@pytest.mark.parametrize("name", ["fail", "misfit"])
def test_what_was_not_raised_on_purpose_stays_inside(
    client: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"x-request-id": f"id-{uuid.uuid4().hex}"}
    values = {"kind": "unexpected"} if name == "fail" else {}
    error = client.error(name, headers=headers, **values)
    assert error.code is Code.INTERNAL
    assert SECRET not in repr((error.detail, error.metadata))
    assert headers["x-request-id"] in caplog.text


def test_a_stream_gives_what_came_before_its_error(client: Client) -> None:
    got: list[int] = []
    with pytest.raises(ConnectError) as caught:
        got.extend(tick.number for tick in client.stream("ticks", count=3, kind="exists"))
    assert got == [0, 1, 2]
    assert type(told_by(caught.value)) is AlreadyExists


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'{"text": "a", "text": "b"}'])
def test_bytes_that_are_no_message_are_told_with_reason_and_id(url: str, body: bytes) -> None:
    answer = post(url, "echo", body, x_request_id="id-8")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    assert answer.headers["x-request-id"] == "id-8"
    kinds = [item["type"] for item in answer.json()["details"]]
    assert kinds[0] == "google.rpc.ErrorInfo"
    assert kinds[-1] == "google.rpc.RequestInfo"


def test_an_unknown_method_is_not_found(url: str) -> None:
    answer = httpx2.post(f"{url}/notes.NoteService/Nothing", json={})
    assert answer.status_code == 404


def test_get_is_not_offered(url: str) -> None:
    path = service.methods["echo"].path
    answer = httpx2.get(f"{url}{path}", params={"encoding": "json", "message": '{"text":"a"}'})
    assert answer.status_code == 405


def test_an_unknown_codec_is_refused(url: str) -> None:
    assert post(url, "echo", b"", content_type="application/xml").status_code == 415


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (json.dumps({"text": "x" * 65536}).encode(), "identity"),
        (gzip.compress(json.dumps({"text": "x" * 10_000_000}).encode()), "gzip"),
    ],
)
def test_a_message_beyond_the_limit_is_refused(url: str, body: bytes, encoding: str) -> None:
    answer = post(url, "echo", body, content_encoding=encoding)
    assert answer.json()["code"] == "resource_exhausted"


def test_a_header_beyond_ascii_is_taken(url: str) -> None:
    path, body = service.methods["look"].path, b"{}"
    request = (
        f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\nx-tag: \xe9\r\n\r\n"
    )
    where = urlsplit(url)
    with socket.create_connection((str(where.hostname), int(where.port or 0))) as connection:
        connection.sendall(request.encode("latin-1") + body)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert '"x-tag":"é"'.encode() in answer


# -- context -------------------------------------------------------------------------------------


def test_an_action_sees_its_call(client: Client) -> None:
    headers = {
        "authorization": "Bearer user1",
        "x-request-id": "id-9",
        "X-Tag": "a",
        "x-blob-bin": base64.b64encode(b"\x00\xff").decode().rstrip("="),
    }
    seen = client.call("look", headers=headers, ms=50_000)
    assert (seen.caller, seen.protocol, seen.request_id) == ("user1", client.protocol, "id-9")
    assert dict(seen.tags) == {"x-tag": "a"}
    assert seen.binary == b"\x00\xff"
    assert seen.peer.startswith("127.0.0.1:")
    assert 0 < seen.seconds < 52  # clients round the time that they send up


def test_binary_metadata_that_is_none_is_left_out(client: Client) -> None:
    assert client.call("look", headers={"x-blob-bin": "***"}).binary == b""


def test_a_peer_with_ipv6_is_written_as_over_rest() -> None:
    with http_server(service.rpc.connect_app(), host="::1") as url:
        assert Client(url, "connect-proto").call("look").peer.startswith("[::1]:")


def test_response_metadata_is_sent_as_headers(url: str) -> None:
    body = json.dumps({"values": {"X-One": "1", "content-type": "text/html", "x-lines": "a\nb"}})
    answer = post(url, "headers", body.encode())
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-one"], answer.headers["x-lines"]) == ("1", "a b")
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("kind", ["connect", "grpc-web"])
def test_response_metadata_of_a_stream_is_sent(url: str, count: int, kind: str) -> None:
    data = message("ticks", count=count).SerializeToString()
    body = struct.pack(">BI", 0, len(data)) + data
    answer = post(url, "ticks", body, content_type=f"application/{kind}+proto")
    assert answer.headers["x-ticks"] == str(count)
    assert len(answer.headers["x-request-id"]) == 32


def test_calls_at_once_never_share_an_identity(client: Client) -> None:
    def ask(number: int) -> tuple[str, str]:
        name = f"user{number}"
        return name, client.call("whoami", headers={"authorization": f"Bearer {name}"}).text

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(ask, range(60)))
    assert all(name == told for name, told in answers)


@pytest.mark.parametrize("name", ["whoami", "secrets"])
def test_permissions_hold_for_streams_too(client: Client, name: str) -> None:
    assert client.error(name).code is Code.UNAUTHENTICATED
    bad = {"authorization": "Bearer nobody"}
    assert client.error(name, headers=bad).code is Code.UNAUTHENTICATED


# -- cancellation, deadlines ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hang", "block", "ticks"])
def test_a_deadline_ends_the_action(client: Client, mark: str, name: str) -> None:
    values = {"count": 1} if name == "ticks" else {}
    for ms in (300, 3000, 20_000):
        error = client.error(name, mark=mark, ms=ms, **values)
        assert error.code is Code.DEADLINE_EXCEEDED
        if signals[f"{mark} started"].is_set():  # else the time was over before the call came
            break
    assert signals.wait(f"{mark} ended")


def test_the_server_itself_tells_of_the_deadline(url: str, mark: str) -> None:
    body = json.dumps({"mark": mark}).encode()
    answer = post(url, "hang", body, connect_timeout_ms="200", x_request_id="id-5")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert answer.headers["x-request-id"] == "id-5"


@pytest.mark.parametrize("name", ["hang", "block", "ticks"])
def test_a_disconnect_ends_the_action(url: str, mark: str, name: str) -> None:
    where, method = urlsplit(url), service.methods[name]
    values = {"count": 1} if name == "ticks" else {}
    body, kind = json.dumps({"mark": mark, **values}).encode(), "application/json"
    if name == "ticks":
        body, kind = struct.pack(">BI", 0, len(body)) + body, "application/connect+json"
    head = (
        f"POST {method.path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((str(where.hostname), int(where.port or 0))) as connection:
        connection.sendall(head.encode() + body)
        assert signals.wait(f"{mark} started")
    assert signals.wait(f"{mark} ended")


@pytest.mark.parametrize("given", ["abc", "-5", "99999999999"])
def test_a_timeout_that_is_none_is_refused(url: str, given: str) -> None:
    answer = post(url, "echo", b'{"text": "a"}', connect_timeout_ms=given)
    assert answer.json()["code"] == "invalid_argument"
