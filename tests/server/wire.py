"""HTTP/2 bytes as a client sends them, written by hand."""

from __future__ import annotations

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def headers_frame(stream: int, path: bytes, *, gzip: bool = False) -> bytes:
    """Write the headers of a gRPC call with HPACK literals, never indexed."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    if gzip:
        fields.append((b"grpc-encoding", b"gzip"))
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )
    return len(block).to_bytes(3, "big") + b"\x01\x04" + stream.to_bytes(4, "big") + block


def data_frame(stream: int, message: bytes) -> bytes:
    """Write one whole gRPC message that ends the request."""
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    return len(body).to_bytes(3, "big") + b"\x00\x01" + stream.to_bytes(4, "big") + body
