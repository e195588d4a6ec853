"""What a gRPC context says about a call, in our terms."""

from __future__ import annotations

import pytest

from bali.errors import Internal
from bali.proto import EncodeError
from bali.resources import Context
from bali.rpc.calls import host_and_port, message_of, request_id_of, response_headers


@pytest.mark.parametrize(
    ("peer", "wanted"),
    [
        ("ipv4:127.0.0.1:50", "127.0.0.1:50"),
        ("ipv6:%5B::1%5D:50", "[::1]:50"),
        ("ipv6:[::1]:50", "[::1]:50"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_a_peer_is_written_as_over_http(peer: str, wanted: str) -> None:
    assert host_and_port(peer) == wanted


def test_a_sane_request_id_is_kept() -> None:
    assert request_id_of({"x-request-id": "abc-1.2:3/4=+"}) == "abc-1.2:3/4=+"


@pytest.mark.parametrize("given", ["", "a b", "a\n", "x" * 129, "é", b"abc"])
def test_any_other_request_id_is_replaced(given: str | bytes) -> None:
    made = request_id_of({"x-request-id": given})
    assert made != given
    assert len(made) == 32


def test_response_metadata_is_what_grpc_allows() -> None:
    given = {
        "X-Plain": "value",
        "x-two-lines": "a\r\nset-cookie: b",
        "x-foreign": "é",
        "x-number": 5,
        "grpc-status": "0",
        "x-blob-bin": "b",
        "content-type": "text/html",
        "x-request-id": "other",
        "bad key": "v",
        "": "v",
    }
    context = Context(response_metadata=given)  # type: ignore[arg-type]  # a number, as a mistake
    assert dict(response_headers(context)) == {
        "x-plain": "value",
        "x-two-lines": "a set-cookie: b",
        "x-foreign": "?",
        "x-number": "5",
    }


def test_a_result_that_fits_no_message_is_internal_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(value: object) -> None:
        raise EncodeError("text", f"cannot hold {value}")

    context = Context(operation="notes.misfit", request_id="id-1")
    with pytest.raises(Internal, match="An internal error occurred"):
        message_of(refuse, "hunter2", context)  # type: ignore[arg-type]  # it returns nothing
    assert "notes.misfit" in caplog.text
    assert "id-1" in caplog.text
