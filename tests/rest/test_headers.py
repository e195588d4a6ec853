from __future__ import annotations

import time
from typing import Any

import pytest

from bali.errors import InvalidArgument
from bali.rest.headers import (
    HeaderMetadata,
    metadata_of,
    new_context,
    peer_of,
    request_id_of,
    response_headers,
    retry_after,
)


def scope(*headers: tuple[bytes, bytes], **values: Any) -> dict[str, Any]:
    return {"type": "http", "headers": list(headers), **values}


def test_metadata_joins_repeated_headers() -> None:
    headers = [(b"X-A", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    assert metadata_of(headers) == {"x-a": "1, 2", "cookie": "a=1; b=2"}


def test_headers_are_read_when_they_are_asked_for() -> None:
    headers = [(b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1"), (b"x-\xe4", b"\xe4")]
    expected = metadata_of(headers)
    found = HeaderMetadata(headers)
    assert found.get("x-b") is None
    assert found.get("€", "none") == "none"
    assert found._values is None
    assert found["x-a"] == found.get("x-a") == "1, 2"
    assert found == expected
    assert dict(found) == expected
    assert (len(found), list(found), repr(found)) == (3, list(expected), repr(expected))
    with pytest.raises(KeyError):
        found["x-b"]


@pytest.mark.parametrize("given", [b"abc", b"A" * 128, b"00-4bf9:7/=+._-x"])
def test_a_sane_request_id_is_kept(given: bytes) -> None:
    assert request_id_of(scope((b"x-request-id", given))) == given.decode()


@pytest.mark.parametrize("given", [b"", b"A" * 129, b"a b", b"a\xff", b"a<script>", b"a\n"])
def test_another_request_id_is_replaced(given: bytes) -> None:
    request = scope((b"x-request-id", given))
    made = request_id_of(request)
    assert len(made) == 32
    assert request_id_of(request) == made


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (("10.0.0.1", 5), "10.0.0.1:5"),
        (("::1", 5), "[::1]:5"),
        (("::ffff:10.0.0.1", 5), "10.0.0.1:5"),
        (None, ""),
    ],
)
def test_the_peer_is_host_and_port(client: Any, expected: str) -> None:
    assert peer_of(scope(client=client)) == expected


@pytest.mark.parametrize(
    ("given", "seconds"), [(b"2", 2), (b"2.5", 2.5), (b" .5 ", 0.5), (b"0", 0)]
)
def test_a_timeout_becomes_a_deadline(given: bytes, seconds: float) -> None:
    context = new_context(scope((b"x-request-timeout", given), client=None))
    assert context.deadline_monotonic is not None
    assert abs(context.deadline_monotonic - time.monotonic() - seconds) < 0.5
    assert context.protocol == "rest"


@pytest.mark.parametrize(
    "given", [b"", b"-1", b"1e3", b"inf", b"nan", b"5s", b"1,5", b"9" * 10, b"\xb2", b"1 2"]
)
def test_a_wrong_timeout_names_the_header(given: bytes) -> None:
    with pytest.raises(InvalidArgument, match="X-Request-Timeout") as caught:
        new_context(scope((b"x-request-timeout", given), client=None))
    assert caught.value.reason == "INVALID_TIMEOUT"


def test_response_headers_cannot_break_the_message() -> None:
    assert response_headers(
        {
            "ETag": '"1"',
            "X-Long": "a\r\nSet-Cookie: b\x00",
            "X-Text": "é€",
            "Content-Length": "3",
            "Transfer-Encoding": "chunked",
            "bad name": "x",
            "naïve": "x",
            "trace-bin": "x",
        }
    ) == [(b"etag", b'"1"'), (b"x-long", b"a Set-Cookie: b"), (b"x-text", b"\xe9?")]


def test_retry_after_is_whole_seconds_and_never_zero() -> None:
    assert [retry_after(value) for value in (0, 0.1, 1, 1.2)] == [b"1", b"1", b"1", b"2"]
