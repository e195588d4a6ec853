"""Errors as `google.rpc.Status` and back again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from bali.errors import (
    BaliError,
    Code,
    FieldError,
    NotFound,
    TooLarge,
    Unavailable,
    Unknown,
    ValidationFailed,
    error_class,
)
from bali.proto import error_from_status, status_proto
from bali.proto.status import OMITTED_KEY, shortened

RICH = Unavailable(
    "the printer is on fire",
    reason="PRINTER_ON_FIRE",
    metadata={"printer": "lp0"},
    field_errors=[FieldError(field="a.b[1]", reason="TOO_LONG", description="is too long")],
    retry_after_seconds=1.25,
    resource_type="printer",
    resource_name="printers/lp0",
)


def detail(status: Any, kind: type[Message]) -> Any:
    """Return the one detail of a kind."""
    found = [item for item in status.details if item.Is(kind.DESCRIPTOR)]
    assert len(found) == 1
    message = kind()
    found[0].Unpack(message)
    return message


def test_every_detail_is_there() -> None:
    status = status_proto(RICH, "id-1", domain="notes.NoteService")
    assert (status.code, status.message) == (Code.UNAVAILABLE, "the printer is on fire")
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("PRINTER_ON_FIRE", "notes.NoteService")
    assert dict(info.metadata) == {"printer": "lp0"}
    (violation,) = detail(status, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.reason, violation.description) == (
        "a.b[1]",
        "TOO_LONG",
        "is too long",
    )
    resource = detail(status, error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("printer", "printers/lp0")
    delay = detail(status, error_details_pb2.RetryInfo).retry_delay
    assert (delay.seconds, delay.nanos) == (1, 250_000_000)
    assert detail(status, error_details_pb2.RequestInfo).request_id == "id-1"


def test_a_plain_error_has_no_detail_without_content() -> None:
    status = status_proto(NotFound(), "id-1", domain="notes.NoteService")
    kinds = [item.type_url.rpartition(".")[2] for item in status.details]
    assert kinds == ["ErrorInfo", "RequestInfo"]


def test_an_error_survives_the_way_there_and_back() -> None:
    status = status_proto(RICH, "id-1", domain="notes.NoteService")
    pairs = [(item.type_url, item.value) for item in status.details]
    for details in (status.SerializeToString(), pairs):
        error = error_from_status(status.code, status.message, details)
        assert type(error) is Unavailable
        for name in ("detail", "reason", "field_errors", "metadata", "retry_after_seconds"):
            assert getattr(error, name) == getattr(RICH, name), name
        assert (error.resource_type, error.resource_name) == ("printer", "printers/lp0")


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_code_comes_back_as_its_class(code: Code) -> None:
    error = error_class(code)("why")
    status = status_proto(error, "id-1", domain="d")
    back = error_from_status(status.code, status.message, status.SerializeToString())
    assert (type(back), back.code, back.reason) == (type(error), code, error.reason)


@pytest.mark.parametrize("kind", [ValidationFailed, TooLarge])
def test_a_reason_tells_the_special_class(kind: type[BaliError]) -> None:
    status = status_proto(kind(), "id-1", domain="d")
    assert type(error_from_status(status.code, "", status.SerializeToString())) is kind


@pytest.mark.parametrize(
    "details", [None, b"", b"\xff\xff", [("type.googleapis.com/google.rpc.ErrorInfo", b"\xff")]]
)
def test_details_that_cannot_be_read_are_passed_over(details: Any) -> None:
    error = error_from_status(Code.NOT_FOUND, "gone", details)
    assert (type(error), error.detail, error.reason) == (NotFound, "gone", "NOT_FOUND")


def test_a_number_without_a_code_is_unknown() -> None:
    assert type(error_from_status(99, "what", None)) is Unknown


def many(count: int) -> ValidationFailed:
    return ValidationFailed(
        field_errors=[
            FieldError(field=f"items[{number}].name", reason="TOO_LONG", description="x" * 60)
            for number in range(count)
        ]
    )


def test_field_errors_beyond_the_room_are_counted() -> None:
    status = status_proto(many(100), "id-1", domain="d", max_bytes=4096)
    assert status.ByteSize() <= 4096
    kept = detail(status, error_details_pb2.BadRequest).field_violations
    assert [item.field for item in kept] == [f"items[{n}].name" for n in range(len(kept))]
    assert len(kept) > 20
    omitted = detail(status, error_details_pb2.ErrorInfo).metadata[OMITTED_KEY]
    assert len(kept) + int(omitted) == 100


def test_without_a_limit_none_is_left_out() -> None:
    status = status_proto(many(100), "id-1", domain="d")
    assert len(detail(status, error_details_pb2.BadRequest).field_violations) == 100
    assert OMITTED_KEY not in detail(status, error_details_pb2.ErrorInfo).metadata


@given(
    detail=st.text(st.characters(), max_size=2000),
    reason=st.text(max_size=400),
    metadata=st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=30),
    fields=st.lists(st.text(st.characters(), max_size=200), max_size=60),
    resource=st.none() | st.text(st.characters(), min_size=1, max_size=500),
    pause=st.none() | st.floats(),
)
def test_whatever_an_error_holds_fits(  # noqa: PLR0917 - hypothesis passes them by name
    detail: str,
    reason: str,
    metadata: dict[str, str],
    fields: list[str],
    resource: str | None,
    pause: float | None,
) -> None:
    error = Unavailable(
        detail,
        reason=reason,
        metadata=metadata,
        field_errors=[FieldError(field=f, reason=f, description=f) for f in fields],
        retry_after_seconds=pause,
        resource_type=resource,
        resource_name=resource,
    )
    status = status_proto(error, "i" * 128, domain="notes.NoteService", max_bytes=4096)
    assert status.ByteSize() <= 4096
    assert type(error_from_status(status.code, "", status.SerializeToString())) is Unavailable


def test_what_is_no_text_is_written_as_text() -> None:
    error = NotFound(metadata={"count": 3})  # type: ignore[dict-item]  # a mistake of the raiser
    info = detail(status_proto(error, "id-1", domain="d"), error_details_pb2.ErrorInfo)
    assert info.metadata["count"] == "3"


def test_a_pause_that_is_no_number_is_left_out() -> None:
    status = status_proto(Unavailable(retry_after_seconds=math.nan), "i", domain="d")
    assert not any("RetryInfo" in item.type_url for item in status.details)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("abc", "abc"),
        ("a" * 10, "a" * 10),
        ("a" * 11, "a" * 10 + "..."),
        ("%%%%", "%%%..."),
        ("é" * 3, "é..."),
        ("\udce9", "?"),
        ("", ""),
    ],
)
def test_texts_are_cut_by_what_they_cost(text: str, wanted: str) -> None:
    assert shortened(text, 10) == wanted
