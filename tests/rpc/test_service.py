"""Resources on `grpc.aio`, called by grpcio's own clients."""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bali.concurrency import run_blocking
from bali.errors import AlreadyExists, Code, NotFound, Unavailable, ValidationFailed
from bali.proto.status import OMITTED_KEY
from bali.rpc.calls import DirectPeer
from tests.rpc.served import (
    SECRET,
    aio_server,
    error_of,
    message,
    service,
    signals,
    told_by,
    trailers_of,
    unary,
)
from tests.waiting import until


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def test_the_shape_has_every_action_with_its_kind() -> None:
    kinds = {method.name: method.is_server_streaming for method in service.bound.methods}
    assert kinds["EchoNotes"] is False
    assert kinds["TicksNotes"] is True
    assert service.bound.full_name == "notes.NoteService"
    assert service.bound.file.name == "notes/notes.proto"


def test_a_unary_call_is_answered(channel: Any) -> None:
    assert unary(channel, "echo")(message("echo", text="hello")).text == "hello"


def test_an_async_client_is_answered(address: str) -> None:
    async def ask() -> tuple[list[str], list[int]]:
        async with grpc.aio.insecure_channel(address) as channel:
            echo, ticks = unary(channel, "echo"), unary(channel, "ticks")
            calls = [echo(message("echo", text=str(n))) for n in range(20)]
            texts = [(await call).text for call in calls]
            return texts, [tick.number async for tick in ticks(message("ticks", count=3))]

    assert run_blocking(ask()) == ([str(n) for n in range(20)], [0, 1, 2])


def test_an_unknown_method_is_unimplemented(channel: Any) -> None:
    error = error_of(lambda: channel.unary_unary("/notes.NoteService/Nothing")(b""))
    assert error.code is Code.UNIMPLEMENTED


def test_gzip_is_taken(address: str) -> None:
    with grpc.insecure_channel(address, compression=grpc.Compression.Gzip) as channel:
        assert unary(channel, "echo")(message("echo", text="x" * 10_000)).text == "x" * 10_000


# -- errors --------------------------------------------------------------------------------------


def test_an_error_has_every_detail(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, "fail")(message("fail", kind="rich"), metadata=(("x-request-id", "id-7"),))
    error: Any = caught.value
    assert error.details() == "the printer is on fire"
    assert trailers_of(error)["x-request-id"] == "id-7"
    told = told_by(error)
    assert type(told) is Unavailable
    assert (told.reason, told.retry_after_seconds) == ("PRINTER_ON_FIRE", 1.5)
    assert (told.resource_type, told.resource_name) == ("printer", "printers/lp0")
    assert told.metadata == {"printer": "lp0"}


def test_an_error_comes_with_the_response_metadata(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, "fail")(message("fail", kind="exists"))
    error: Any = caught.value
    assert type(told_by(error)) is AlreadyExists
    assert dict(error.initial_metadata())["x-tried"] == "yes"


def test_field_errors_are_told(channel: Any) -> None:
    error = error_of(lambda: unary(channel, "fail")(message("fail", kind="fields")))
    assert type(error) is ValidationFailed
    assert [(item.field, item.reason) for item in error.field_errors] == [("a.b[1]", "TOO_LONG")]


def test_a_missing_argument_is_named(channel: Any) -> None:
    error = error_of(lambda: unary(channel, "echo")(message("echo")))
    assert type(error) is ValidationFailed
    assert [item.field for item in error.field_errors] == ["text"]


@pytest.mark.parametrize("kind", ["long", "foreign", "surrogate", "number"])
def test_no_error_is_too_large_or_odd_to_be_told(channel: Any, kind: str) -> None:
    error = error_of(lambda: unary(channel, "fail")(message("fail", kind=kind), timeout=20))
    assert type(error) is NotFound
    assert len(error.detail) < 1100


def test_field_errors_without_room_are_counted(channel: Any) -> None:
    error = error_of(lambda: unary(channel, "fail")(message("fail", kind="many")))
    assert type(error) is ValidationFailed
    assert len(error.field_errors) + int(error.metadata[OMITTED_KEY]) == 100


@pytest.mark.parametrize("name", ["fail", "misfit"])
def test_what_was_not_raised_on_purpose_stays_inside(
    channel: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"kind": "unexpected"} if name == "fail" else {}
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        unary(channel, name)(message(name, **values))
    error: Any = caught.value
    trailers = trailers_of(error)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in repr((error.details(), trailers))
    assert "RuntimeError" not in repr((error.details(), trailers))
    assert trailers["x-request-id"] in caplog.text


@pytest.mark.parametrize("name", ["echo", "ticks"])
def test_bytes_that_are_no_message_are_refused(channel: Any, name: str) -> None:
    method = service.methods[name]
    make = channel.unary_stream if method.is_server_streaming else channel.unary_unary
    error = error_of(lambda: list(make(method.path)(b"\xff\xff\xff")))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert "Decode" not in error.detail


def test_without_the_handler_the_same_bytes_show_the_inside() -> None:
    """The negative control: how `grpc.aio` answers by itself."""

    async def fail(request: Any, context: Any) -> Any:
        raise RuntimeError(f"password {SECRET}")

    handlers: dict[str, Any] = {
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Parse": grpc.unary_unary_rpc_method_handler(
            fail, request_deserializer=service.methods["echo"].input_type.FromString
        ),
    }
    bare = grpc.method_handlers_generic_handler("bare.Bare", handlers)
    with aio_server(bare) as address, grpc.insecure_channel(address) as opened:
        channel: Any = opened
        told = error_of(lambda: channel.unary_unary("/bare.Bare/Fail")(b""))
        assert SECRET in told.detail
        parsed = error_of(lambda: channel.unary_unary("/bare.Bare/Parse")(b"\xff\xff"))
        assert "DecodeError" in parsed.detail


# -- context -------------------------------------------------------------------------------------


def test_an_action_sees_its_call(channel: Any) -> None:
    metadata = (
        ("authorization", "Bearer user1"),
        ("x-request-id", "id-9"),
        ("x-tag", "a"),
        ("x-tag", "b"),
        ("x-blob-bin", b"\x00\xff"),
    )
    seen, call = unary(channel, "look").with_call(message("look"), metadata=metadata, timeout=50)
    assert (seen.caller, seen.protocol, seen.request_id) == ("user1", "grpc", "id-9")
    assert dict(seen.tags) == {"x-tag": "a, b"}
    assert seen.binary == b"\x00\xff"
    assert seen.peer.startswith("127.0.0.1:")
    assert 0 < seen.seconds < 52  # clients round the time that they send up
    assert trailers_of(call)["x-request-id"] == "id-9"


def test_no_deadline_is_none(channel: Any) -> None:
    assert not unary(channel, "look")(message("look")).HasField("seconds")


def test_an_unsafe_request_id_is_replaced(channel: Any) -> None:
    seen, call = unary(channel, "look").with_call(
        message("look"), metadata=(("x-request-id", "a b"),)
    )
    assert len(seen.request_id) == 32
    assert trailers_of(call)["x-request-id"] == seen.request_id


def test_the_peer_is_the_one_behind_the_relay() -> None:
    rpc = type(service.rpc)(
        service.bound,
        [service.spec],
        service.pipeline,
        resolve_peer=lambda _: DirectPeer("ipv6:%5B::1%5D:7"),
    )
    with aio_server(rpc.generic_handler()) as address, grpc.insecure_channel(address) as channel:
        assert unary(channel, "look")(message("look")).peer == "[::1]:7"


def test_response_metadata_comes_first(channel: Any) -> None:
    values = {"X-One": "1", "grpc-status": "9", "x-lines": "a\nb"}
    _, call = unary(channel, "headers").with_call(message("headers", values=values))
    initial = dict(call.initial_metadata())
    assert (initial["x-one"], initial["x-lines"], initial["x-number"]) == ("1", "a b", "5")
    assert call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("count", [0, 2])
def test_response_metadata_of_a_stream_comes_first(channel: Any, count: int) -> None:
    call = unary(channel, "ticks")(message("ticks", count=count))
    assert dict(call.initial_metadata())["x-ticks"] == str(count)
    assert len(list(call)) == count
    assert len(trailers_of(call)["x-request-id"]) == 32


def test_calls_at_once_never_share_an_identity(channel: Any) -> None:
    def ask(number: int) -> tuple[str, str]:
        name = f"user{number}"
        metadata = (("authorization", f"Bearer {name}"),)
        return name, unary(channel, "whoami")(message("whoami"), metadata=metadata).text

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(200)))
    assert all(name == told for name, told in answers)
    assert len(answers) == 200


@pytest.mark.parametrize("name", ["whoami", "secrets"])
def test_permissions_hold_for_streams_too(channel: Any, name: str) -> None:
    method = service.methods[name]

    def ask(**options: Any) -> list[Any]:
        answer = unary(channel, name)(message(name), **options)
        return list(answer) if method.is_server_streaming else [answer]

    assert error_of(ask).code is Code.UNAUTHENTICATED
    bad = (("authorization", "Bearer nobody"),)
    assert error_of(lambda: ask(metadata=bad)).code is Code.UNAUTHENTICATED
    assert len(ask(metadata=(("authorization", "Bearer user1"),))) == 1


# -- streams, cancellation, deadlines ------------------------------------------------------------


def test_a_stream_gives_what_came_before_its_error(channel: Any) -> None:
    call = unary(channel, "ticks")(message("ticks", count=3, kind="exists"))
    got: list[int] = []
    error = error_of(lambda: got.extend(tick.number for tick in call))
    assert got == [0, 1, 2]
    assert type(error) is AlreadyExists


def test_a_stream_waits_for_its_reader(channel: Any, mark: str) -> None:
    call = unary(channel, "ticks")(message("ticks", count=10_000_000, mark=mark))
    assert next(call).number == 0
    assert not signals[f"{mark} closed"].wait(0.3)
    call.cancel()
    assert signals.wait(f"{mark} closed")


def test_a_cancelled_call_ends_its_action(channel: Any, mark: str) -> None:
    call = unary(channel, "hang").future(message("hang", mark=mark))
    assert signals.wait(f"{mark} started")
    call.cancel()
    assert signals.wait(f"{mark} ended")


def test_a_cancelled_call_ends_what_its_thread_waits_for(channel: Any, mark: str) -> None:
    call = unary(channel, "block").future(message("block", mark=mark))
    assert signals.wait(f"{mark} started")
    call.cancel()
    assert signals.wait(f"{mark} ended")


@pytest.mark.parametrize("count", [0, 1, 1_000_000])
def test_a_cancelled_stream_is_closed_wherever_it_is(channel: Any, mark: str, count: int) -> None:
    """While it makes an item, between two, and while one is written."""
    call = unary(channel, "ticks")(message("ticks", count=count, mark=mark))
    assert signals.wait(f"{mark} sent" if count else f"{mark} started")
    call.cancel()
    assert signals.wait(f"{mark} closed")


def read_all(call: Any, request: bytes, seconds: float) -> list[bytes]:
    return list(call(request, timeout=seconds))


@pytest.mark.parametrize("name", ["hang", "block", "ticks"])
def test_a_deadline_ends_the_action(channel: Any, mark: str, name: str) -> None:
    values = {"count": 1} if name == "ticks" else {}
    call = unary(channel, name)
    request = message(name, mark=mark, **values)
    for seconds in (1, 5, 20):
        error = error_of(functools.partial(read_all, call, request, seconds))
        assert error.code is Code.DEADLINE_EXCEEDED
        if signals[f"{mark} started"].is_set():  # else the time was over before the call came
            break
    assert signals.wait(f"{mark} ended")


def test_a_stopped_server_ends_its_calls(mark: str) -> None:
    with aio_server(service.rpc.generic_handler()) as where:
        channel = grpc.insecure_channel(where)
        call = unary(channel, "hang").future(message("hang", mark=mark))
        assert signals.wait(f"{mark} started")
    assert signals.wait(f"{mark} ended")
    assert call.exception() is not None
    channel.close()


def running() -> int:
    """Count the calls that `grpc.aio` serves on the loop."""

    async def count() -> int:
        return sum("HandleExceptions" in task.get_name() for task in asyncio.all_tasks())

    return run_blocking(count())


def test_many_calls_leave_no_task_behind(channel: Any, address: str, mark: str) -> None:
    async def ask() -> None:
        async with grpc.aio.insecure_channel(address) as opened:
            echo = unary(opened, "echo")
            await asyncio.gather(*(echo(message("echo", text="x")) for _ in range(100)))

    call = unary(channel, "hang").future(message("hang", mark=mark))
    assert signals.wait(f"{mark} started")
    run_blocking(ask())
    assert running() >= 1
    call.cancel()
    until(lambda: running() == 0, "no task of a call is left")
