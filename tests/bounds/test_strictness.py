"""What parsers read differently is refused alike on every protocol; nothing shows the inside."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from bali import Bali, Resource, action
from bali.settings import Settings, Stage
from bali.testing import LiveServer, live_server
from tests.behaviour.service import Everything
from tests.bounds import wire
from tests.bounds.wire import Told

SECRET = "hunter2"
#: What no caller may ever read: our bugs, our libraries, our source.
INSIDE = ("Traceback", "Error:", "exception", "google", ".py", "unmarshal", "object at", SECRET)

ECHO = "/strict.StrictService/EchoStricts"
FREE = "/strict.StrictService/FreeStricts"
STREAM = "/strict.StrictService/CountStricts"
FAIL = "/strict.StrictService/FailStricts"


class Item(BaseModel):
    """One thing in another."""

    sku: str


class Box(BaseModel):
    """What is sent here."""

    text: str = ""
    number: float = 0.0
    whole: int = 0
    anything: object = None
    items: list[Item] = []


class StrictResource(Resource):
    """Takes what is right, and nothing else."""

    @action(methods=["post"])
    async def echo(self, schema_in: Box) -> Box:
        """Return what was sent."""
        return schema_in

    @action(methods=["post"])
    async def free(self, schema_in: Everything) -> str:
        """Take every type."""
        return schema_in.text

    @action(methods=["post"])
    async def fail(self, text: str) -> str:
        """Fail in a way that nobody may see."""
        raise RuntimeError(f"{SECRET} in /srv/app/secret.py: {text}")

    @action()
    async def count(self, upto: int) -> AsyncIterator[Item]:
        """Count."""
        for number in range(upto):
            yield Item(sku=str(number))


def make_app(**changed: Any) -> Bali:
    return Bali(
        title="strict",
        resources=[StrictResource],
        settings=Settings(stage=Stage.TEST, **changed),
    )


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    with live_server(make_app()) as server:
        yield server


def over_connect(live: LiveServer, body: bytes) -> Told:
    return wire.connect(live, ECHO, body)


def over_grpc_web(live: LiveServer, body: bytes) -> Told:
    return wire.grpc_web(live, ECHO, body, codec="json")


def over_rest(live: LiveServer, body: bytes) -> Told:
    return wire.rest(live, "/stricts/echo", body)


JSON_SENDERS = {"rest": over_rest, "connect": over_connect, "grpc-web": over_grpc_web}
Sender = Callable[[LiveServer, bytes], Told]


@pytest.fixture(params=list(JSON_SENDERS))
def send_json(request: pytest.FixtureRequest) -> Sender:
    return JSON_SENDERS[request.param]


def nested(depth: int) -> bytes:
    return b'{"anything":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"text":"a","text":"b"}', "DUPLICATE_KEY"),
        (b'{"anything":{"a":1,"a":1}}', "DUPLICATE_KEY"),
        (b'{"unknown":{"a":1,"a":1}}', "DUPLICATE_KEY"),
        (b'{"number":NaN}', "MALFORMED_JSON"),
        (b'{"anything":Infinity}', "MALFORMED_JSON"),
        (b'{"anything":-Infinity}', "MALFORMED_JSON"),
        (b'{"text":"\\ud800"}', "MALFORMED_JSON"),
        (b'{"text":"\xff"}', "MALFORMED_JSON"),
        (b'{"whole":' + b"9" * 5000 + b"}", "MALFORMED_JSON"),
        (b"\xef\xbb\xbf{}", "MALFORMED_JSON"),
        (b"{", "MALFORMED_JSON"),
        (b"{}{}", "MALFORMED_JSON"),
        (nested(65), "TOO_DEEP"),
        (nested(100_000), "TOO_DEEP"),
        (b'{"unknown":' * 50_000, "TOO_DEEP"),
        (b'{"text":"a\\u0000b"}', "VALIDATION_FAILED"),
        (b'{"anything":"a\\u0000b"}', "VALIDATION_FAILED"),
        (b'{"anything":{"a\\u0000b":1}}', "VALIDATION_FAILED"),
        (b'{"text":5}', "VALIDATION_FAILED"),
        (b'{"whole":1.5}', "VALIDATION_FAILED"),
        (b'{"whole":99999999999999999999}', "VALIDATION_FAILED"),
        (b'{"number":1e999}', "VALIDATION_FAILED"),
        (b'{"items":{}}', "VALIDATION_FAILED"),
        (b'{"items":[5]}', "VALIDATION_FAILED"),
        (b'{"items":[null]}', "VALIDATION_FAILED"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_json_is_refused_alike(
    live: LiveServer, send_json: Sender, body: bytes, reason: str
) -> None:
    told = send_json(live, body)
    assert told.verdict == ("INVALID_ARGUMENT", reason)
    assert told.request_id
    if reason == "VALIDATION_FAILED":
        assert told.fields
    assert not [word for word in INSIDE if word in told.text]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"text":"text","number":1e300,"whole":5,"items":[{"sku":"a"}]}',
        nested(60),
        b'{"text":"' + b"[" * 1000 + b'"}',
        b'{"anything":{"a":1,"A":2}}',
    ],
)
def test_what_is_right_is_taken(live: LiveServer, send_json: Sender, body: bytes) -> None:
    assert send_json(live, body).code == "OK"


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5"])
def test_a_body_that_is_no_object_is_refused(
    live: LiveServer, send_json: Sender, body: bytes
) -> None:
    assert send_json(live, body).code == "INVALID_ARGUMENT"


def test_the_field_of_the_wrong_type_is_named_alike(live: LiveServer, send_json: Sender) -> None:
    assert send_json(live, b'{"text":5}').fields == ["text"]
    assert send_json(live, b'{"number":"x"}').fields == ["number"]


def test_the_depth_is_a_setting() -> None:
    # The negative control of the rule: the same depth passes when it is allowed.
    with live_server(make_app(max_json_depth=90)) as deeper:
        for send in JSON_SENDERS.values():
            assert send(deeper, nested(80)).code == "OK"
            assert send(deeper, nested(91)).reason == "TOO_DEEP"
    with live_server(make_app(max_json_depth=3)) as flatter:
        for send in JSON_SENDERS.values():
            assert send(flatter, nested(3)).code == "OK"
            assert send(flatter, nested(4)).reason == "TOO_DEEP"


def message_types(live: LiveServer) -> dict[str, Any]:
    bound = live.app.services.bound
    assert bound is not None
    return {method.path: method.input_type for method in bound.methods}


BINARY_SENDERS: dict[str, Callable[[LiveServer, str, bytes], Told]] = {
    "grpc": wire.rpc,
    "grpc-web": wire.grpc_web,
    "connect": lambda live, path, body: wire.connect(live, path, body, codec="proto"),
}


@pytest.fixture(params=list(BINARY_SENDERS))
def send_binary(request: pytest.FixtureRequest) -> Callable[[LiveServer, str, bytes], Told]:
    return BINARY_SENDERS[request.param]


def deep_message(live: LiveServer, depth: int) -> bytes:
    message = message_types(live)[ECHO]()
    value = message.anything
    for _ in range(depth):
        value = value.list_value.values.add()
    value.string_value = "leaf"
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    "make",
    [
        lambda _: b"\xff\xff\xff",
        lambda _: b"\x0a\x05ab",
        lambda _: b"\x0a\x01\xff",  # text that is not UTF-8
        lambda live: deep_message(live, 5000),
        lambda _: b"\x0b" * 5000,  # groups in groups
    ],
    ids=["bytes", "short", "utf8", "deep", "groups"],
)
def test_bytes_that_are_no_message_are_refused_alike(
    live: LiveServer, send_binary: Any, make: Callable[[LiveServer], bytes]
) -> None:
    told = send_binary(live, ECHO, make(live))
    assert told.verdict == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
    assert told.request_id
    assert not [word for word in INSIDE if word in told.text]


def test_values_that_json_cannot_have_are_refused_in_messages_too(
    live: LiveServer, send_binary: Any
) -> None:
    kind = message_types(live)[ECHO]
    for field, value in (("number", float("nan")), ("number", float("inf")), ("text", "a\0b")):
        told = send_binary(live, ECHO, kind(**{field: value}).SerializeToString())
        assert (told.code, told.fields) == ("INVALID_ARGUMENT", [field])
    message = kind()
    message.anything.number_value = float("nan")
    told = send_binary(live, ECHO, message.SerializeToString())
    assert (told.code, told.fields) == ("INVALID_ARGUMENT", ["anything"])
    told = send_binary(live, ECHO, deep_message(live, 70))
    assert told.code == "INVALID_ARGUMENT"
    assert send_binary(live, ECHO, deep_message(live, 20)).code == "OK"


@pytest.mark.parametrize("protocol", ["rest", *BINARY_SENDERS])
def test_a_bug_shows_a_request_id_and_nothing_else(live: LiveServer, protocol: str) -> None:
    if protocol == "rest":
        told = wire.rest(live, "/stricts/fail", b'{"text":"x"}')
    else:
        told = BINARY_SENDERS[protocol](live, FAIL, b"\x0a\x01x")
    assert told.verdict == ("INTERNAL", "INTERNAL")
    assert told.request_id
    for word in (SECRET, "secret.py", "RuntimeError", "Traceback"):
        assert word.encode() not in told.sent


@pytest.mark.parametrize("path", ["/strict.StrictService/Nope", "/nope.Service/Nope"])
def test_an_unknown_method_is_told_and_no_more(live: LiveServer, path: str) -> None:
    told = wire.rpc(live, path, b"")
    assert told.code == "UNIMPLEMENTED"
    for content_type in ("application/json", "application/proto", "application/grpc-web+proto"):
        answer = httpx2.post(f"{live.url}{path}", headers={"content-type": content_type})
        assert answer.status_code == 404
        assert not [word for word in INSIDE if word in answer.text]
    answer = httpx2.get(f"{live.url}/nowhere/at/all")
    assert (answer.status_code, answer.json()["reason"]) == (404, "UNKNOWN_ROUTE")
    assert "nowhere" not in answer.text
    answer = httpx2.put(f"{live.url}/stricts/echo")
    assert (answer.status_code, answer.json()["code"]) == (405, "UNIMPLEMENTED")


def test_grpc_over_http_1_is_refused_without_a_trace(
    live: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    for content_type in ("application/grpc", "application/grpc+proto"):
        told = wire.rest(live, ECHO, wire.enveloped(b""), **{"content-type": content_type})
        assert told.reason == "UNSUPPORTED_MEDIA_TYPE"
        assert "HTTP/2" in told.text
    assert not caplog.records


def test_a_damaged_compressed_body_leaves_no_trace_in_the_log(
    live: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    for path in ("/stricts/echo", ECHO):
        for body in (b"nothing", gzip.compress(b"{}")[:-4]):
            answer = httpx2.post(f"{live.url}{path}", content=body, headers=headers)
            assert answer.status_code == 400
            assert answer.json()["code"].upper() == "INVALID_ARGUMENT"
    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "NaN", "1s", "-1s", "9999999999999s", "2020-01-01T00:00:00Z", "SMALL"])
    | st.binary(max_size=8).map(lambda data: base64.b64encode(data).decode()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "radius", "circle", "sku"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(value=st.dictionaries(st.sampled_from(list(Everything.model_fields)), json_values))
def test_no_json_is_more_than_an_invalid_argument(live: LiveServer, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    for told in (wire.rest(live, "/stricts/free", body), wire.connect(live, FREE, body)):
        assert told.code in ("OK", "INVALID_ARGUMENT")
        assert told.code == "OK" or told.reason


@settings(max_examples=150)
@given(
    seconds=st.integers(-(2**63), 2**63 - 1),
    nanos=st.integers(-(2**31), 2**31 - 1),
    noise=st.binary(max_size=20),
)
def test_no_message_is_more_than_an_invalid_argument(
    live: LiveServer, seconds: int, nanos: int, noise: bytes
) -> None:
    message = message_types(live)[FREE](truth=True, text="x", key="y", raw=noise)
    message.money.value = "1e99999"
    message.moment.seconds = seconds
    message.moment.nanos = nanos
    message.span.seconds = seconds
    message.span.nanos = nanos
    message.prices["a"].value = "NaN"
    for body in (message.SerializeToString(), message.SerializeToString() + noise, noise):
        told = wire.rpc(live, FREE, body)
        assert told.code == "INVALID_ARGUMENT"
        assert told.reason
