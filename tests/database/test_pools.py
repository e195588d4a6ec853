from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any

import pytest
from sqlalchemy import event, text

from bali.database import Database


async def test_a_connection_that_nobody_waits_for_is_closed(url: str) -> None:
    database = Database(url)
    opened: list[Any] = []
    event.listen(database.engine.sync_engine, "connect", lambda made, _: opened.append(made))
    given_up = 0
    for steps in range(40):
        task = asyncio.create_task(database.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        given_up += task.cancelled()
        await database.close()
        database.connect(url)
    assert given_up > 0
    opened.clear()
    gc.collect()  # a connection left open would warn, and warnings are errors
    await database.ping()
    await database.close()


async def test_one_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bali.database.pools._PATIENCE_SECONDS", 0.01)
    reached, leave = asyncio.Event(), asyncio.Event()
    answered: list[asyncio.Task[Any] | None] = []

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(asyncio.current_task())
        reached.set()
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql://postgres@127.0.0.1:{port}/test?ssl=disable")
    task = asyncio.create_task(database.run(lambda session: session.execute(text("SELECT 1"))))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.close()
    server.close()
    leave.set()
    await asyncio.wait([task for task in answered if task is not None])


async def test_the_pool_is_silent_at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    database = Database("sqlite://")
    await database.ping()
    await database.close()
    assert caplog.messages == []
