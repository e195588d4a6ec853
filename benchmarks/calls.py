"""The calls that are measured: how each is made on every protocol, and its right answer."""

from __future__ import annotations

import dataclasses
import datetime
import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from benchmarks.stage import READ_ROWS, ROWS, Service

__all__ = [
    "CALLS", "GRPC_SERVICE", "Call", "Request", "WrongAnswer", "answer", "check", "row",
    "rpc_answer",
]  # fmt: skip

GRPC_SERVICE = "/bench.BenchService"
ROW = 7
_PAGES = (20, 100, 300, 1000)


class WrongAnswer(Exception):
    """A service answered something else than the others would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it goes over HTTP/1.1."""

    verb: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call on every protocol; `number` is the row that it is about."""

    name: str
    path: str
    method: str
    request: Callable[[Any, int], Any]  # the message, from the module of messages
    response: str
    verb: str = "GET"
    json: Mapping[str, Any] | None = None
    expected: Callable[[int], Any] = field(default=lambda number: row(number))  # noqa: PLW0108 - below
    #: The rows that the load goes through.
    first: int = ROW
    last: int = ROW

    def at(self, service: Service) -> Call:
        """Return the call as one service takes it."""
        return dataclasses.replace(self, path=service.paths.get(self.name, self.path))

    def rest(self, number: int) -> Request:
        """Return the request over REST."""
        body = b"" if self.json is None else json.dumps(self.json).encode()
        return Request(verb=self.verb, path=self.path.format(number=number), body=body)

    def rpc(self, messages: Any, number: int) -> bytes:
        """Return the message that goes over gRPC."""
        content: bytes = self.request(messages, number).SerializeToString()
        return content

    def connect(self, messages: Any, number: int) -> Request:
        """Return the request over Connect."""
        return Request(
            verb="POST",
            path=f"{GRPC_SERVICE}/{self.method}",
            body=self.rpc(messages, number),
            content_type="application/proto",
        )


def row(number: int) -> dict[str, Any]:
    """Return a row of the table as it was made."""
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    updated = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
    return {
        "id": number,
        "created_time": created + number * datetime.timedelta(seconds=1, microseconds=1),
        "updated_time": updated + number * datetime.timedelta(seconds=1, microseconds=7),
        "is_active": number % 7 != 0,
        "username": f"user-{number}",
        "age": None if number % 5 == 0 else number % 90,
    }


def _page(size: int) -> Call:
    return Call(
        name=f"list({size})",
        path=f"/users?page_size={size}",
        method="ListUsers",
        request=lambda messages, _: messages.ListUsersRequest(page_size=size),
        response="ListUsersResponse",
        expected=lambda _: [row(number) for number in range(1, size + 1)],
    )


def _changed(number: int) -> dict[str, Any]:
    kept = {name: value for name, value in row(number).items() if name != "updated_time"}
    return {**kept, "age": 41}


_NEW = {"username": "zoë", "age": 33}

CALLS: Mapping[str, Call] = {
    call.name: call
    for call in (
        Call(
            name="get",
            path="/users/{number}",
            method="GetUser",
            request=lambda messages, number: messages.GetUserRequest(id=number),
            response="User",
        ),
        *map(_page, _PAGES),
        Call(
            name="create",
            verb="POST",
            path="/users",
            json=_NEW,
            method="CreateUser",
            request=lambda messages, _: messages.CreateUserRequest(user=messages.User(**_NEW)),
            response="User",
            expected=lambda _: {**_NEW, "is_active": True},
        ),
        Call(
            name="update",
            verb="PATCH",
            path="/users/{number}",
            json={"age": 41},
            method="UpdateUser",
            request=lambda messages, number: messages.UpdateUserRequest(
                id=number, user=messages.User(age=41)
            ),
            response="User",
            expected=_changed,
            first=READ_ROWS + 1,
            last=ROWS,
        ),
        Call(
            name="constant action",
            path="/users/ping",
            method="PingUsers",
            request=lambda messages, _: messages.PingUsersRequest(),
            response="Pong",
            expected=lambda _: {"text": "pong"},
        ),
        Call(
            name="work action",
            path="/users/work",
            method="WorkUsers",
            request=lambda messages, _: messages.WorkUsersRequest(),
            response="Pong",
            expected=lambda _: {"text": "333283335000"},
        ),
    )
}


def rpc_answer(call: Call, service: Service, messages: Any) -> bytes:
    """Make a call over gRPC once and return the message of its answer."""
    with grpc.insecure_channel(f"127.0.0.1:{service.rpc_port}") as channel:
        method: Any = channel.unary_unary(f"{GRPC_SERVICE}/{call.method}")
        content: bytes = method(call.rpc(messages, call.first), timeout=10)
    return content


def answer(call: Call, protocol: str, service: Service, messages: Any) -> Any:
    """Make a call once and return its answer as plain values, the same on every protocol."""
    if protocol == "gRPC":
        return _plain(_from_message(call, messages, rpc_answer(call, service, messages)))
    is_rest = protocol == "REST"
    sent = call.at(service).rest(call.first) if is_rest else call.connect(messages, call.first)
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{sent.path}",
        sent.body or None, {"content-type": sent.content_type}, method=sent.verb,
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - same
        content = response.read()
    if is_rest:
        return _plain(json.loads(content))
    return _plain(_from_message(call, messages, content))


def check(call: Call, protocol: str, service: Service, messages: Any) -> None:
    """Raise `WrongAnswer` unless a service answers a call as all of them have to."""
    expected = call.expected(call.first)
    try:
        found = answer(call, protocol, service, messages)
    except (OSError, ValueError, grpc.RpcError) as error:
        raise WrongAnswer(f"{protocol} {call.name}: {service.name} failed: {error}") from error
    if isinstance(expected, dict) and isinstance(found, dict):
        found = {name: found.get(name) for name in expected}
    if found != expected:
        raise WrongAnswer(
            f"{protocol} {call.name}: {service.name} answers otherwise:\n"
            f"{str(found)[:500]}\nwanted:\n{str(expected)[:500]}"
        )


def _from_message(call: Call, messages: Any, content: bytes) -> Any:
    message = getattr(messages, call.response).FromString(content)
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _plain(found: Any) -> Any:
    """Return one item as a row, and the items of a page, whatever the page is called."""
    if isinstance(found, dict) and "items" in found:
        found = found["items"]
    if isinstance(found, list):
        return [_plain(item) for item in found]
    if not isinstance(found, dict):
        return found
    return {name: _value(name, value) for name, value in {"age": None, **found}.items()}


def _value(name: str, value: Any) -> Any:
    if name.endswith("_time") and isinstance(value, str):
        return datetime.datetime.fromisoformat(value)
    return int(value) if name in ("id", "age") and value is not None else value
