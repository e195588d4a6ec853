"""A plain uvicorn server, without anything of bali's, in the event loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve `app` on a free port; yield the port."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=5
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            task.result()
    port: int = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.should_exit = True
        await task


class RawClient:
    """One HTTP/1.1 connection, for what a client library would hide."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        """Send a request whose JSON body is `body`."""
        lines = [f"{method} {target} HTTP/1.1", "host: x", *headers]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await self.writer.drain()

    async def head(self) -> str:
        """Read the response's status line and headers."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()

    async def chunk(self) -> bytes:
        """Read one chunk of the response; empty at its end."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readline()
        return data

    async def body(self, head: str) -> bytes:
        """Read the body of a response with a content length."""
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return await self.reader.readexactly(length)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    """Connect to a port of the loopback address; the connection is cut at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
