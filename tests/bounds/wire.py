"""Raw requests to a live app, below what a client library lets through."""

from __future__ import annotations

import base64
import json
import re
import struct
from typing import Any
from urllib.parse import unquote

import grpc
import httpx2
from google.rpc import error_details_pb2, status_pb2

from bali.testing import LiveServer

CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def enveloped(data: bytes, *, flags: int = 0) -> bytes:
    """Return one message of a gRPC-Web or Connect stream."""
    return struct.pack(">BI", flags, len(data)) + data


class Told:
    """What a caller was told: code, reason, text, the wrong fields, and all that was sent."""

    def __init__(self, code: str, text: str, details: bytes | list[Any], sent: bytes) -> None:
        self.code = code
        self.text = text
        self.sent = sent
        self.reason = ""
        self.fields: list[str] = []
        self.request_id = ""
        for kind, value in _pairs(details):
            if kind == "google.rpc.ErrorInfo":
                self.reason = error_details_pb2.ErrorInfo.FromString(value).reason
            elif kind == "google.rpc.BadRequest":
                found = error_details_pb2.BadRequest.FromString(value)
                self.fields = [item.field for item in found.field_violations]
            elif kind == "google.rpc.RequestInfo":
                self.request_id = error_details_pb2.RequestInfo.FromString(value).request_id

    @property
    def verdict(self) -> tuple[str, str]:
        """The code and the reason."""
        return self.code, self.reason


def _pairs(details: bytes | list[Any]) -> list[tuple[str, bytes]]:
    if isinstance(details, bytes):
        status = status_pb2.Status.FromString(details)
        return [(item.type_url.rpartition("/")[2], item.value) for item in status.details]
    return [(item["type"], _base64(item["value"])) for item in details]


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def rest(live: LiveServer, path: str, body: bytes, **headers: str) -> Told:
    """Post to a REST path."""
    sent = {"content-type": "application/json", **headers}
    answer = httpx2.post(f"{live.url}{path}", content=body, headers=sent, timeout=30)
    if answer.is_success:
        return Told("OK", "", [], answer.content)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    told = Told(problem["code"], problem["detail"], [], answer.content)
    told.reason = problem["reason"]
    told.fields = [item["field"] for item in problem.get("errors", ())]
    told.request_id = problem["request_id"]
    return told


def connect(live: LiveServer, path: str, body: bytes, *, codec: str = "json") -> Told:
    """Post one message to a method over Connect."""
    headers = {"content-type": f"application/{codec}", "connect-protocol-version": "1"}
    answer = httpx2.post(f"{live.url}{path}", content=body, headers=headers, timeout=30)
    if answer.is_success:
        return Told("OK", "", [], answer.content)
    error = answer.json()
    code = error["code"].upper()
    return Told(code, error["message"], error.get("details", []), answer.content)


def grpc_web(live: LiveServer, path: str, body: bytes, *, codec: str = "proto") -> Told:
    """Post one message to a method over gRPC-Web."""
    headers = {"content-type": f"application/grpc-web+{codec}"}
    answer = httpx2.post(f"{live.url}{path}", content=enveloped(body), headers=headers, timeout=30)
    trailers = answer.content.decode("latin-1")
    status = re.search(r"grpc-status: ?(\d+)", trailers)
    assert status is not None
    message = re.search(r"grpc-message: ?([^\r\n]*)", trailers)
    details = re.search(r"grpc-status-details-bin: ?([^\r\n]*)", trailers)
    return Told(
        CODES[int(status[1])],
        unquote(message[1]) if message else "",
        _base64(details[1]) if details else b"",
        answer.content,
    )


def rpc(live: LiveServer, path: str, body: bytes) -> Told:
    """Send one message to a method over gRPC."""
    with grpc.insecure_channel(live.address) as channel:
        call: Any = channel.unary_unary(path)
        try:
            return Told("OK", "", [], call(body, timeout=30))
        except grpc.RpcError as caught:
            error: Any = caught
            trailers = dict(error.trailing_metadata() or ())
            details = trailers.get("grpc-status-details-bin", b"")
            sent = repr((error.details(), trailers)).encode()
            return Told(error.code().name, error.details() or "", details, sent)


def as_json(value: Any) -> bytes:
    """Return a JSON document without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()
