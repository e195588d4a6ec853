from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from fastapi import Depends

from bali.rest.disconnect import DisconnectGuard
from tests.rest.served import connected, served
from tests.rest.service import ProbeResource, make_app


@pytest.mark.parametrize("dependencies", [[], [Depends(lambda: None)]], ids=["plain", "depends"])
async def test_a_client_that_leaves_ends_its_call_at_once(dependencies: list[Any]) -> None:
    app = make_app(dependencies=dependencies)
    async with served(app) as port:
        async with connected(port) as client:
            await client.send("POST", "/probes/sleep", b'{"seconds": 60}')
            await asyncio.wait_for(ProbeResource.log.started.wait(), 30)
        await asyncio.wait_for(ProbeResource.log.cancelled.wait(), 30)
        async with connected(port) as client:
            await client.send("GET", "/leaves/a%252Fb%2Fc")
            head = await client.head()
            assert await client.body(head) == b'{"result":"a%2Fb/c"}'


async def test_a_client_that_leaves_within_its_body_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for dependencies in ([], [Depends(lambda: None)]):
        app = make_app(dependencies=dependencies)
        async with served(app) as port:
            async with connected(port) as client:
                await client.send("POST", "/parcels", b"{", "x-cut: yes")
                client.writer.write(
                    b"POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                    b"content-length: 100\r\n\r\n{"
                )
                await client.head()
            async with connected(port) as client:
                await client.send("GET", "/parcels")
                assert "200 ok" in await client.head()
    assert not caplog.records


class Wire:
    """The receiving side of an ASGI connection."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.asked = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        self.asked.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_the_cancellation_ends_at_the_guard() -> None:
    wire = Wire()
    wire.gone.set()
    task = asyncio.current_task()
    assert task is not None
    with DisconnectGuard({}, wire.receive) as guard:
        await asyncio.sleep(60)
    assert guard.is_gone
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_quick_call_is_not_watched() -> None:
    wire = Wire()
    with DisconnectGuard({}, wire.receive) as guard:
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert not wire.asked.is_set()
    assert not guard.is_gone


async def test_nobody_is_watched_where_the_server_does_it() -> None:
    wire = Wire()
    wire.gone.set()
    with DisconnectGuard({"extensions": {"bali.disconnect": object()}}, wire.receive):
        await asyncio.sleep(0.05)
    assert not wire.asked.is_set()


async def test_somebody_elses_cancellation_is_not_swallowed() -> None:
    wire = Wire()
    cleaned = []

    async def work() -> None:
        with DisconnectGuard({}, wire.receive):
            try:
                await asyncio.sleep(60)
            finally:
                wire.gone.set()
                await asyncio.sleep(0.01)
                cleaned.append(True)

    task = asyncio.create_task(work())
    await asyncio.wait_for(wire.asked.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_a_call_that_ends_in_spite_of_it_is_no_longer_cancelled() -> None:
    wire = Wire()
    wire.gone.set()
    task = asyncio.current_task()
    assert task is not None
    guard = DisconnectGuard({}, wire.receive)
    with guard, contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    assert guard.is_gone
    assert task.cancelling() == 0
