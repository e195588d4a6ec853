"""Nothing unexpected gets past the boundary of a hand-written servicer, whatever its kind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from bali.errors import AlreadyExists, BaliError, Code
from bali.rpc import Boundary
from tests.rpc.served import (
    SECRET,
    aio_server,
    error_of,
    plain_server,
    service,
    signals,
    told_by,
    trailers_of,
)
from tests.rpc.written import Async, Echo, Sync, Told, Waiting, Writer, handler_of

SERVICERS = {
    "aio-async": Async,
    "aio-writer": Writer,
    "aio-sync": Sync,
    "plain-sync": Sync,
}


@contextmanager
def served(name: str, servicer: Any, *, threads: int = 4) -> Iterator[Any]:
    """Serve a servicer and give a channel to it."""
    handler = handler_of(servicer)
    if name.startswith("plain"):
        running = plain_server(handler, threads=threads)
    else:
        boundary = Boundary(service.pipeline, max_threads=threads)
        running = aio_server(boundary.generic(handler), threads=threads)
    with running as address, grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="module", params=list(SERVICERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def channel(name: str) -> Iterator[Any]:
    with served(name, SERVICERS[name]()) as opened:
        yield opened


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def stub(channel: Any, kind: str) -> Any:
    make = {
        "one": channel.unary_unary,
        "many": channel.unary_stream,
        "join": channel.stream_unary,
        "each": channel.stream_stream,
        "listed": channel.unary_stream,
        "stream": channel.unary_stream,
        "watched": channel.unary_unary,
        "taking": channel.stream_unary,
    }[kind]
    return make(
        f"/written.Written/{kind}",
        request_serializer=lambda value: (
            value if isinstance(value, bytes) else value.SerializeToString()
        ),
        response_deserializer=Told.FromString,
    )


def texts(channel: Any, kind: str, *given: Any, **options: Any) -> list[str]:
    """Call a method with texts, or bytes, and return the texts of its answer."""
    messages = [value if isinstance(value, bytes) else Echo(text=value) for value in given]
    call = stub(channel, kind)
    answer = call(iter(messages) if kind in ("join", "each") else messages[0], **options)
    return [answer.text] if kind in ("one", "join") else [item.text for item in answer]


KINDS = ["one", "many", "join", "each"]


def test_every_kind_is_answered(channel: Any) -> None:
    assert texts(channel, "one", "a") == ["a"]
    assert texts(channel, "many", "a") == ["first", "a"]
    assert texts(channel, "join", "a", "b", "c") == ["abc"]
    assert texts(channel, "each", "a", "b", "c") == ["a", "b", "c"]
    assert texts(channel, "listed", "") == ["a", "b"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_bali_is_rich(channel: Any, kind: str) -> None:
    error = error_of(lambda: texts(channel, kind, "bali"))
    assert type(error) is AlreadyExists
    assert (error.detail, error.reason) == ("there is one", "ONE_IS_ENOUGH")


def told_to(channel: Any, kind: str, *given: Any) -> tuple[BaliError, str]:
    """Return the error of a call and the request id beside it."""
    with pytest.raises(grpc.RpcError) as caught:
        texts(channel, kind, *given)
    return told_by(caught.value), trailers_of(caught.value).get("x-request-id", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["unexpected", "bare"])
def test_what_is_unexpected_stays_inside(
    channel: Any, kind: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    error, request_id = told_to(channel, kind, text)
    assert (error.code, error.reason) == (Code.INTERNAL, "INTERNAL")
    assert SECRET not in error.detail
    assert request_id
    assert request_id in caplog.text
    assert f"/written.Written/{kind}" in caplog.text


@pytest.mark.parametrize("kind", ["one", "many", "each"])
def test_an_answer_of_the_wrong_type_stays_inside(channel: Any, kind: str) -> None:
    error, _ = told_to(channel, kind, "wrong")
    assert error.code is Code.INTERNAL
    assert "Told" not in error.detail
    assert "int" not in error.detail.replace("internal", "")


@pytest.mark.parametrize("kind", KINDS)
def test_what_abort_says_stays(channel: Any, kind: str) -> None:
    error, _ = told_to(channel, kind, "abort")
    assert (error.code, error.detail) == (Code.ABORTED, "said on purpose")


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_that_was_set_stays(channel: Any, kind: str) -> None:
    error, request_id = told_to(channel, kind, "code")
    assert (error.code, error.detail) == (Code.OUT_OF_RANGE, "set on purpose")
    assert request_id


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_no_message_are_refused(channel: Any, kind: str) -> None:
    error, _ = told_to(channel, kind, b"\xff\xff\xff")
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


def test_the_request_id_comes_back_beside_the_servicers_own_trailers(channel: Any) -> None:
    answer, call = stub(channel, "one").with_call(
        Echo(text="trailers"), metadata=(("x-request-id", "id-3"),)
    )
    assert answer.text == "trailers"
    assert trailers_of(call) == {"x-mine": "1", "x-request-id": "id-3"}


def test_a_servicer_may_send_its_own_initial_metadata(channel: Any) -> None:
    _, call = stub(channel, "one").with_call(Echo(text="initial"))
    assert dict(call.initial_metadata())["x-mine"] == "1"


def test_without_the_boundary_the_inside_is_shown() -> None:
    """The negative control."""
    with aio_server(handler_of(Async())) as address, grpc.insecure_channel(address) as opened:
        assert SECRET in error_of(lambda: texts(opened, "one", "unexpected")).detail
        assert "DecodeError" in error_of(lambda: texts(opened, "one", b"\xff\xff")).detail
        assert "TypeError" in error_of(lambda: texts(opened, "one", "wrong")).detail


# -- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aio-sync", "plain-sync"])
def test_streams_that_nobody_reads_hold_no_thread(name: str, mark: str) -> None:
    """With two threads, more than two such streams one after the other."""
    with served(name, Waiting(), threads=2) as channel:
        for number in range(5):
            text = f"{mark}{number}"
            call = stub(channel, "stream")(Echo(text=text))
            assert next(iter(call)).text
            assert not signals[f"{text} ended"].is_set()
            call.cancel()
            assert signals.wait(f"{text} ended")


@pytest.mark.parametrize("name", ["aio-sync", "plain-sync"])
def test_a_method_that_waits_for_requests_ends_with_its_call(name: str, mark: str) -> None:
    waits = signals[f"{mark} never"]

    def requests() -> Iterator[Any]:
        yield Echo(text=mark)
        waits.wait(10)

    with served(name, Waiting(), threads=2) as channel:
        call = stub(channel, "taking").future(requests())
        assert signals.wait(f"{mark} started")
        call.cancel()
        assert signals.wait(f"{mark} ended")
        waits.set()


def test_a_method_in_a_thread_learns_that_its_call_has_ended(mark: str) -> None:
    waiting = Waiting()
    with served("aio-sync", waiting) as channel:
        call = stub(channel, "watched").future(Echo(text=mark))
        assert signals.wait(f"{mark} started")
        assert not waiting.callbacks.is_set()
        call.cancel()
        assert waiting.callbacks.wait(10)
        waiting.released.set()


def test_a_method_in_a_thread_is_told_when_it_is_done(mark: str) -> None:
    waiting = Waiting()
    waiting.released.set()
    with served("aio-sync", waiting) as channel:
        assert stub(channel, "watched")(Echo(text=mark)).text == "True"
        assert waiting.callbacks.wait(10)


def test_the_last_servicer_that_was_added_for_a_method_answers() -> None:
    def prepare(server: grpc.aio.Server) -> None:
        inside = Boundary(service.pipeline).inside(server)
        for text in ("first", "last"):

            async def one(request: Any, context: Any, text: str = text) -> Any:
                return Told(text=text)

            handler: Any = grpc.unary_unary_rpc_method_handler(one, None, Told.SerializeToString)
            # As the functions do that protoc writes.
            named = {"one": handler}
            inside.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("written.Written", named),)
            )
            inside.add_registered_method_handlers("written.Written", named)

    with aio_server(prepare=prepare) as address, grpc.insecure_channel(address) as channel:
        assert texts(channel, "one", "") == ["last"]
        with pytest.raises(grpc.RpcError) as caught:
            texts(channel, "many", "")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
