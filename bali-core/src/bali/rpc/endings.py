"""How a call over gRPC is ended with an error."""

from __future__ import annotations

from typing import Any

import grpc

from bali.errors import BaliError
from bali.proto.status import DETAILS_KEY, shortened, status_proto
from bali.rpc.calls import MAX_STATUS_BYTES, REQUEST_ID

__all__ = ["ending_of", "status_code", "trailers_of"]

#: Percent-encoded it is a part of the metadata, whose size is bounded.
_MAX_MESSAGE_BYTES = 1024
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


def status_code(error: BaliError) -> grpc.StatusCode:
    """Return grpcio's name for the code of an error."""
    return _STATUS_CODES[int(error.code)]


def trailers_of(error: BaliError, request_id: str, domain: str) -> tuple[tuple[str, Any], ...]:
    """Return the trailing metadata that tells of an error."""
    status = status_proto(error, request_id, domain=domain, max_bytes=MAX_STATUS_BYTES)
    return ((REQUEST_ID, request_id), (DETAILS_KEY, status.SerializeToString()))


def ending_of(
    error: BaliError, request_id: str, domain: str
) -> tuple[grpc.StatusCode, str, tuple[tuple[str, Any], ...]]:
    """Return what `abort` takes: the code, the text and the trailing metadata of an error.

    They fit into what a client takes, and never make `abort` fail.
    """
    detail = shortened(error.detail, _MAX_MESSAGE_BYTES)
    return status_code(error), detail, trailers_of(error, request_id, domain)
