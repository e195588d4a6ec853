from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bali.server import BodyLimit
from tests.server.served import Served, read_http, running

Message = MutableMapping[str, Any]
LIMIT = 4 * 2**20


async def echo(request: Request) -> Response:
    body = await request.body()
    kept = {name: value for name, value in request.headers.items() if name.startswith("content")}
    return JSONResponse(kept, headers={"x-length": str(len(body)), "x-sum": str(zlib.crc32(body))})


async def swallow(request: Request) -> Response:
    try:
        await request.body()
    except Exception as error:  # noqa: BLE001 - an application that catches everything
        return JSONResponse({"caught": repr(error)}, status_code=400)
    return JSONResponse({})


async def passing(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


inner = Starlette(
    routes=[Route("/", echo, methods=["POST"]), Route("/swallow", swallow, methods=["POST"])],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=passing)],
)


async def post(
    parts: list[bytes],
    *headers: tuple[bytes, bytes],
    path: str = "/",
    limit: int = LIMIT,
    app: Any = None,
) -> tuple[int, dict[str, str], bytes]:
    """Call the middleware as an ASGI server does, with the body in the given parts."""
    queue = [
        {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
        for i, part in enumerate(parts)
    ]
    sent: list[Message] = []
    done = asyncio.Event()

    async def receive() -> Message:
        if queue:
            return queue.pop(0)
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await BodyLimit(app or inner, max_body_bytes=limit)(scope, receive, send)
    starts = [m for m in sent if m["type"] == "http.response.start"]
    assert len(starts) == 1
    body = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
    fields = {n.decode(): v.decode() for n, v in starts[0]["headers"]}
    return starts[0]["status"], fields, body


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


PLAIN = b"".join(b"%d " % (i * i) for i in range(60_000))


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize("size", [1_000_000, 4096, 1_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"identity", PLAIN),
        (b"gzip", gzip.compress(PLAIN)),
        (b"X-GZIP", gzip.compress(PLAIN)),
        (b"gzip", gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:])),
        (b"deflate", zlib.compress(PLAIN)),
        (b"deflate", raw_deflate(PLAIN)),
    ],
    ids=["identity", "gzip", "x-gzip", "members", "deflate", "bare deflate"],
)
async def test_encoded_body_arrives_plain(encoding: bytes, body: bytes, size: int) -> None:
    headers = [(b"content-encoding", encoding), (b"content-type", b"text/plain")]
    status, fields, kept = await post(pieces(body, size), *headers)
    assert status == 200
    assert int(fields["x-length"]) == len(PLAIN)
    assert int(fields["x-sum"]) == zlib.crc32(PLAIN)
    if encoding != b"identity":
        assert json.loads(kept) == {"content-type": "text/plain"}


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 131_072])
@pytest.mark.parametrize("byte", [b"\x00", b"ab"])
async def test_output_that_ends_at_a_step(length: int, byte: bytes) -> None:
    """Highly compressible output may be held back inside zlib when all input is taken."""
    plain = (byte * length)[:length]
    status, fields, _ = await post([gzip.compress(plain)], (b"content-encoding", b"gzip"))
    assert (status, int(fields["x-length"])) == (200, length)


async def test_gzip_body_one_byte_at_a_time() -> None:
    body = gzip.compress(b"hello" * 50)
    status, fields, _ = await post(pieces(body, 1), (b"content-encoding", b"gzip"))
    assert (status, fields["x-length"]) == (200, "250")


async def test_empty_body_with_an_encoding() -> None:
    assert (await post([b""], (b"content-encoding", b"gzip")))[0] == 200


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
async def test_unsupported_encoding(encoding: bytes) -> None:
    status, fields, body = await post([b"x"], (b"content-encoding", encoding))
    assert (status, json.loads(body)["reason"]) == (415, "UNSUPPORTED_CONTENT_ENCODING")
    assert fields["accept-encoding"] == "gzip, deflate"
    assert encoding.decode() in json.loads(body)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"not gzip", gzip.compress(PLAIN)[:-5], gzip.compress(PLAIN)[:100], gzip.compress(b"x") * 65],
    ids=["not gzip", "without its end", "cut", "too many members"],
)
async def test_damaged_body(body: bytes) -> None:
    status, _, answer = await post([body], (b"content-encoding", b"gzip"))
    assert (status, json.loads(answer)["reason"]) == (400, "MALFORMED_BODY")


async def test_data_behind_a_deflate_body() -> None:
    status, _, _ = await post([zlib.compress(b"x") * 2], (b"content-encoding", b"deflate"))
    assert status == 400


@pytest.mark.parametrize("path", ["/", "/swallow"])
@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([b"y" * 600, b"y" * 500], []),
        ([b"y"], [(b"content-length", b"1001")]),
        ([gzip.compress(b"y" * 1001)], [(b"content-encoding", b"gzip")]),
        # Empty stored blocks: much on the wire, nothing behind it.
        ([b"\x00\x00\x00\xff\xff" * 250], [(b"content-encoding", b"deflate")]),
    ],
    ids=["parts", "announced", "gzip", "empty blocks"],
)
async def test_larger_than_allowed(
    parts: list[bytes], headers: list[tuple[bytes, bytes]], path: str
) -> None:
    """The refusal stands whatever the application makes of the error."""
    status, fields, body = await post(parts, *headers, path=path, limit=1000)
    assert (status, fields["content-type"]) == (413, "application/problem+json")
    content = json.loads(body)
    assert (content["code"], content["reason"]) == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert "1000" in content["detail"]
    assert (await post([b"y" * 1000], limit=1000, path=path))[0] == 200


async def test_error_of_the_application_is_not_hidden() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError):
        await post([b""], app=failing)


async def test_response_that_has_begun_is_cut_not_mixed() -> None:
    async def early(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await receive()

    with pytest.raises(Exception, match="larger than the 1000 bytes"):
        await post([b"y" * 2000], app=early, limit=1000)


@pytest.mark.parametrize("is_limited", [True, False])
async def test_bomb_costs_at_most_16_mebibytes(is_limited: bool) -> None:
    """A body of 64 KiB that grows to 64 MiB; without the rule it is decompressed whole."""

    async def unlimited(scope: Any, receive: Any, send: Any) -> None:
        gzip.decompress((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    bomb = gzip.compress(b"\x00" * 64 * 2**20)
    tracemalloc.start()
    try:
        if is_limited:
            status, _, _ = await post(pieces(bomb, 16384), (b"content-encoding", b"gzip"))
        else:
            status, _, _ = await post([bomb], app=unlimited)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, peak < 16 * 2**20) == ((413, True) if is_limited else (200, False))


async def test_connection_goes_on_after_a_refusal() -> None:
    served = Served()
    async with running(served.server(app=BodyLimit(served.app))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        bomb = gzip.compress(b"\x00" * 32 * 2**20)
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\n"
        head += b"content-length: %d\r\n\r\n"
        writer.write(head % len(bomb) + bomb)
        assert (await read_http(reader))[0] == 413
        good = gzip.compress(b"hello")
        writer.write(head % len(good) + good)
        status, _, body = await read_http(reader)
        assert (status, body) == (200, b"hello")
        writer.close()
