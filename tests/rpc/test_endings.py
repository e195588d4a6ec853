"""How a call over gRPC is ended with an error."""

from __future__ import annotations

import grpc
import pytest

from bali.errors import Code, NotFound, error_class
from bali.rpc.endings import ending_of, status_code


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_code_has_grpcios_name(code: Code) -> None:
    assert status_code(error_class(code)()) is grpc.StatusCode[code.name]


def test_an_ending_is_what_abort_takes() -> None:
    code, text, trailers = ending_of(NotFound("gone"), "id-1", "notes.NoteService")
    assert (code, text) == (grpc.StatusCode.NOT_FOUND, "gone")
    assert [key for key, _ in trailers] == ["x-request-id", "grpc-status-details-bin"]
