"""Starting `program.py` and talking to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.server.served import read_http

PROGRAM = Path(__file__).with_name("program.py")


class Service:
    """A running `program.py`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.errors: list[str] = []
        self.port = 0
        self._reading: asyncio.Task[None] | None = None

    async def announced(self) -> None:
        """Wait for the line that says where it serves; read stderr on from there."""
        self._reading = asyncio.create_task(asyncio.to_thread(self._read))
        async with asyncio.timeout(60):
            while not self.port:
                if self._reading.done():
                    raise AssertionError("".join(self.errors))
                await asyncio.sleep(0.01)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode())
            if match := re.search(r"Serving .* on \S*?:(\d+) ", self.errors[-1]):
                self.port = int(match[1])

    async def ended(self, seconds: float = 60) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(seconds):
            while (code := self.process.poll()) is None:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
            if self._reading is not None:
                await self._reading
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    async def failed(self) -> str:
        """Wait for it to end with exit code 1, and return what it told on stderr."""
        _, errors = await asyncio.to_thread(self.process.communicate)
        assert self.process.returncode == 1
        return errors.decode()

    def notes(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    async def noted(self, text: str) -> None:
        """Wait until a step is in the log."""
        async with asyncio.timeout(60):
            while text not in self.notes():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)

    async def draining(self) -> None:
        """Wait until it has heard the first signal: it is not ready, or accepts nothing more."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (await self.get("/readyz"))[0] != 503:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            return await asyncio.wait_for(read_http(reader), 60)
        finally:
            writer.close()

    async def hello(self) -> dict[str, Any]:
        """Ask who answers; try again while no worker does."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    _, _, body = await self.get("/")
                    answer: dict[str, Any] = json.loads(body)
                    return answer
                await asyncio.sleep(0.05)


async def start(
    folder: Path, *, environment: dict[str, str] | None = None, **options: Any
) -> Service:
    """Start a copy of the program in `folder` without waiting for it to serve."""
    program = folder / "main.py"
    if not program.exists():
        shutil.copy(PROGRAM, program)
    options = {"port": 0, "rpc_port": 0, "drain_delay_seconds": 0.0, **options}
    return spawn(program, json.dumps(options), folder, environment or {})


def spawn(
    program: Path,
    options: str,
    folder: Path,
    environment: dict[str, str],
    *,
    start_new_session: bool = False,
) -> Service:
    """Start `program` in `folder`.

    Not by the loop: uvloop runs Python code between fork and exec, and this process uses gRPC.
    """
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, str(program), options],
        cwd=folder,
        env=os.environ | {"LOG": str(log), "PYTHONUNBUFFERED": "1"} | environment,
        stderr=subprocess.PIPE,
        start_new_session=start_new_session,
    )
    return Service(process, log)


@asynccontextmanager
async def service(folder: Path, **options: Any) -> AsyncIterator[Service]:
    """Run the program while the block runs; kill what is left of it."""
    running = await start(folder, **options)
    try:
        await running.announced()
        yield running
    finally:
        if running.process.returncode is None:
            running.process.kill()
        await running.ended()


@asynccontextmanager
async def longer_way(port: int, *, seconds: float) -> AsyncIterator[int]:
    """Give a port from which connections are carried to `port`; answers take `seconds` longer.

    All that use it have to be closed when the block ends.
    """
    loop = asyncio.get_running_loop()
    carrying: set[asyncio.Task[None]] = set()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                loop.call_later(seconds, writer.write, data)
        loop.call_later(seconds, writer.close)
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            served_reader, served_writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(ask(reader, served_writer), answer(served_reader, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(carry(reader, writer))
        carrying.add(task)

    way = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(way.sockets[0].getsockname()[1])
    finally:
        way.close()
        await asyncio.gather(*carrying)
